//! `xpl price`: what a model's work costs, as the chain knows it.

use clap::Subcommand;
use gpu_node::client::Client;
use plasma_modules::Amount;
use plasma_modules::types::hex;
use plasma_proto::plasma::price::v1::{
    Hour, Price, QueryHistoryRequest, QueryHistoryResponse, QueryIndexRequest, QueryIndexResponse,
    QueryPriceRequest, QueryPriceResponse, QueryPricesRequest, QueryPricesResponse,
};
use serde_json::json;

use crate::App;
use crate::amount::{self, thousands, xpl_text};
use crate::error::Result;
use crate::node::utc;
use crate::output::{Table, Tone, proto_json};
use crate::query::{ID_CHARS, all_pages, bps, find_model, model_name, models};

/// Seconds of an hour.
const HOUR_S: u64 = 3_600;

/// Prices.
#[derive(Debug, Subcommand)]
pub enum PriceCommand {
    /// What every model's work costs now
    List,
    /// One model's price, its index, and who stands behind it
    Show {
        /// Name of the model, or the begin of its id
        model: String,
    },
    /// A model's closed hours, newest first
    History {
        /// Name of the model, or the begin of its id
        model: String,
        /// How many hours
        #[arg(long, default_value_t = 48)]
        hours: usize,
    },
}

/// Runs `xpl price`.
///
/// # Errors
/// If no node answers, or there is no such model.
pub async fn run(app: &App, command: PriceCommand) -> Result<()> {
    let client = app.client().await?;
    match command {
        PriceCommand::List => list(app, &client).await,
        PriceCommand::Show { model } => show(app, &client, &model).await,
        PriceCommand::History { model, hours } => history(app, &client, &model, hours).await,
    }
}

/// A price per million units.
fn per_mtok(uxpl: u64) -> String {
    if uxpl == 0 { "-".to_owned() } else { amount::xpl(Amount::from(uxpl)) }
}

async fn list(app: &App, client: &Client) -> Result<()> {
    let names = models(client).await?;
    let name = |id: &[u8]| names.iter().find(|model| model.model_id == id).map(model_name);
    let prices = all_pages!(
        client,
        "/plasma.price.v1.Query/Prices",
        QueryPricesResponse,
        prices,
        |pagination| { QueryPricesRequest { pagination } }
    );
    let mut table =
        Table::new(["MODEL", "ID", "PRICE/Mtok", "USE", "SLOTS", "INDEX/Mtok", "PROVIDERS"]);
    for price in &prices {
        let (index, tone) = index_words(price);
        table.toned([
            (name(&price.model_id).unwrap_or_default(), Tone::Strong),
            (hex(&price.model_id).chars().take(ID_CHARS).collect(), Tone::Plain),
            (per_mtok(price.price_uxpl_per_mtok), Tone::Plain),
            (bps(price.use_bps), Tone::Plain),
            (thousands(price.proven_slots.into()), Tone::Plain),
            (index, tone),
            (thousands(price.providers.into()), Tone::Plain),
        ]);
    }
    let json = prices.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no model was paid for lately", &json);
    Ok(())
}

fn index_words(price: &Price) -> (String, Tone) {
    let tone = if price.index_stale { Tone::Dim } else { Tone::Plain };
    (per_mtok(price.index_uxpl_per_mtok), tone)
}

async fn show(app: &App, client: &Client, text: &str) -> Result<()> {
    let known = models(client).await?;
    let model = find_model(&known, text)?;
    let model_id = hex(&model.model_id);
    let answer: QueryPriceResponse = client
        .query("/plasma.price.v1.Query/Price", &QueryPriceRequest { model_id: model_id.clone() })
        .await?;
    let price = answer.price.unwrap_or_default();
    let behind: QueryIndexResponse = client
        .query("/plasma.price.v1.Query/Index", &QueryIndexRequest { model_id: model_id.clone() })
        .await?;
    if app.out.is_json() {
        app.out.json(&json!({ "price": proto_json(&price)?, "index": proto_json(&behind)? }));
        return Ok(());
    }
    let stale = if price.index_stale { " (stale: too few providers were paid)" } else { "" };
    let mut table = Table::fields();
    table.field_toned("model", model_name(model), Tone::Strong);
    table.field("id", model_id);
    table.field("price per Mtok", per_mtok(price.price_uxpl_per_mtok));
    table.field("mean of 24 h", per_mtok(price.twap_uxpl_per_mtok));
    table.field(
        "use",
        format!("{} of {} proven slots", bps(price.use_bps), thousands(price.proven_slots.into())),
    );
    table.field("index per Mtok", format!("{}{stale}", per_mtok(price.index_uxpl_per_mtok)));
    table.field("index, mean of 24 h", per_mtok(price.index_twap_uxpl_per_mtok));
    if price.updated_s > 0 {
        table.field("last step", utc(price.updated_s));
    }
    app.out.table(&table, "", &());
    if !behind.quotes.is_empty() {
        let mut table = Table::new(["PAID PROVIDER", "MEAN/Mtok", "CHARGED", "WEIGHT"]);
        for quote in &behind.quotes {
            table.row([
                quote.operator.clone(),
                per_mtok(quote.mean_uxpl_per_mtok),
                xpl_text(&quote.charge_uxpl),
                bps(quote.weight_bps),
            ]);
        }
        app.out.print(&format!("\n{}", table.render(false).trim_end()), &());
    }
    Ok(())
}

async fn history(app: &App, client: &Client, text: &str, count: usize) -> Result<()> {
    let known = models(client).await?;
    let model_id = hex(&find_model(&known, text)?.model_id);
    let mut hours: Vec<Hour> = all_pages!(
        client,
        "/plasma.price.v1.Query/History",
        QueryHistoryResponse,
        hours,
        |pagination| { QueryHistoryRequest { model_id: model_id.clone(), pagination } }
    );
    hours.sort_by_key(|hour| std::cmp::Reverse(hour.hour));
    hours.truncate(count);
    let mut table = Table::new(["HOUR", "PRICE/Mtok", "INDEX/Mtok", "PROVIDERS", "CHARGED"]);
    for hour in &hours {
        table.row([
            utc(hour.hour.saturating_mul(HOUR_S)),
            per_mtok(hour.price_uxpl_per_mtok),
            per_mtok(hour.index_uxpl_per_mtok),
            thousands(hour.providers.into()),
            xpl_text(&hour.charge_uxpl),
        ]);
    }
    let json = hours.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no hour is closed yet", &json);
    Ok(())
}
