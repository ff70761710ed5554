//! The market's questions, and `xpl provider`.

use clap::Subcommand;
use gpu_node::client::{Client, ClientError};
use plasma_modules::types::hex;
use plasma_modules::{Address, Amount};
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use plasma_proto::plasma::market::v1::{
    Model, Offer, Params, Provider, ProviderStatus, QueryModelsRequest, QueryModelsResponse,
    QueryOffersRequest, QueryOffersResponse, QueryParamsRequest, QueryParamsResponse,
    QueryProviderRequest, QueryProviderResponse, QueryProvidersRequest, QueryProvidersResponse,
};
use plasma_proto::plasma::proof::v1::{OfferKey, query_proof_request::Object};

use crate::App;
use crate::amount::{self, thousands, xpl_text};
use crate::error::{Failure, Result};
use crate::light::{ProveArgs, Verified};
use crate::output::{Table, Tone, proto_json};
use crate::prove::Prover;

/// Pages that a list goes through at most; a page has 100 entries.
pub const PAGES_MAX: usize = 50;
/// Offers of one provider that are proven, at most.
const OFFERS_MAX: usize = 100;
/// Shortest part of a model's id that is taken for it, hexadecimal digits.
const PREFIX_DIGITS_MIN: usize = 4;
/// Characters of a model's id in tables.
pub const ID_CHARS: usize = 12;

/// Providers.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Everyone who rents out compute
    List,
    /// One provider and its prices
    Show {
        /// Operator's address, contact or key; your own if left out
        operator: Option<String>,
        #[command(flatten)]
        prove: ProveArgs,
    },
}

/// The page of a list that begins at a key.
pub fn page(key: Vec<u8>) -> Option<PageRequest> {
    Some(PageRequest { key, ..PageRequest::default() })
}

/// Goes through the pages of a list.
macro_rules! all_pages {
    ($client:expr, $path:literal, $answer:ty, $list:ident, |$page:ident| $request:expr) => {{
        let (mut found, mut key) = (Vec::new(), Vec::new());
        for _ in 0..$crate::query::PAGES_MAX {
            let $page = $crate::query::page(std::mem::take(&mut key));
            let answer: $answer = $client.query($path, &$request).await?;
            found.extend(answer.$list);
            key = answer.pagination.unwrap_or_default().next_key;
            if key.is_empty() {
                break;
            }
        }
        found
    }};
}
pub(crate) use all_pages;

/// The market's parameters.
///
/// # Errors
/// If no node answers.
pub async fn params(client: &Client) -> Result<Params> {
    let answer: QueryParamsResponse =
        client.query("/plasma.market.v1.Query/Params", &QueryParamsRequest {}).await?;
    Ok(answer.params.unwrap_or_default())
}

/// Every model.
///
/// # Errors
/// If no node answers.
pub async fn models(client: &Client) -> Result<Vec<Model>> {
    Ok(all_pages!(
        client,
        "/plasma.market.v1.Query/Models",
        QueryModelsResponse,
        models,
        |pagination| { QueryModelsRequest { pagination } }
    ))
}

/// Every offer for a model.
///
/// # Errors
/// If no node answers.
pub async fn offers(client: &Client, model_id: &[u8]) -> Result<Vec<Offer>> {
    let model_id = hex(model_id);
    Ok(all_pages!(
        client,
        "/plasma.market.v1.Query/Offers",
        QueryOffersResponse,
        offers,
        |pagination| { QueryOffersRequest { model_id: model_id.clone(), pagination } }
    ))
}

/// The name of a model, for people.
pub fn model_name(model: &Model) -> String {
    model.manifest.as_ref().map(|manifest| manifest.name.clone()).unwrap_or_default()
}

/// The model that an id, the begin of one, or a name stands for.
///
/// # Errors
/// If it is none, or more than one.
pub fn find_model<'a>(models: &'a [Model], text: &str) -> Result<&'a Model> {
    let lower = text.to_lowercase();
    let is_id =
        lower.len() >= PREFIX_DIGITS_MIN && lower.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = models.iter().filter(|model| model_name(model).to_lowercase() == lower);
    let by_id = models.iter().filter(|model| is_id && hex(&model.model_id).starts_with(&lower));
    let mut found: Vec<&Model> = named.collect();
    if found.is_empty() {
        found = by_id.collect();
    }
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::refused("market", 3, format!("no model is called {text:?}"))
            .hint("see  xpl model list")),
        several => {
            let ids: Vec<_> = several.iter().map(|model| hex(&model.model_id)).collect();
            Err(Failure::usage(format!("{text:?} stands for several models: {}", ids.join(", ")))
                .hint("say more of the id"))
        }
    }
}

/// Basis points as percent.
pub fn bps(bps: u32) -> String {
    format!("{}.{:02}%", bps / 100, bps % 100)
}

/// A size for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut unit, mut scale) = (0, 1u64);
    while unit + 1 < UNITS.len() && count / scale >= 1000 {
        (unit, scale) = (unit + 1, scale * 1000);
    }
    let tenths = if unit == 0 { String::new() } else { format!(".{}", count % scale * 10 / scale) };
    format!("{}{tenths} {}", count / scale, UNITS[unit])
}

/// Runs `xpl provider`.
///
/// # Errors
/// If there is no such provider.
pub async fn provider(app: &App, command: ProviderCommand) -> Result<()> {
    match command {
        ProviderCommand::List => {
            let client = app.client().await?;
            let providers = all_pages!(
                client,
                "/plasma.market.v1.Query/Providers",
                QueryProvidersResponse,
                providers,
                |pagination| { QueryProvidersRequest { pagination } }
            );
            let mut table = Table::new([
                "OPERATOR", "STATUS", "REGION", "BOND", "SETTLED", "FAILED", "LATENCY",
            ]);
            for provider in &providers {
                let Provider { operator, region, bond_uxpl, jobs_settled, jobs_failed, .. } =
                    provider.clone();
                let (status, tone) = status_of(provider);
                table.toned([
                    (operator, Tone::Plain),
                    (status.to_owned(), tone),
                    (region, Tone::Plain),
                    (xpl_text(&bond_uxpl), Tone::Plain),
                    (thousands(jobs_settled.into()), Tone::Plain),
                    (thousands(jobs_failed.into()), Tone::Plain),
                    (latency(provider.latency_ms), Tone::Plain),
                ]);
            }
            let json = providers.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
            app.out.table(&table, "no providers yet", &json);
            Ok(())
        }
        ProviderCommand::Show { operator, prove } => {
            let address =
                operator.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
            let client = app.client().await?;
            let request = QueryProviderRequest { operator: address.text() };
            let answer = client.query("/plasma.market.v1.Query/Provider", &request);
            if prove.prove {
                let prover = Prover::open(app, &client, &prove).await?;
                let answer = proven_provider(&prover, address, answer.await).await?;
                return show_provider(app, &answer, Some(&prover.verified));
            }
            show_provider(app, &answer.await?, None)
        }
    }
}

fn latency(ms: u64) -> String {
    if ms == 0 { "-".to_owned() } else { format!("{}.{:01}s", ms / 1000, ms % 1000 / 100) }
}

fn status_of(provider: &Provider) -> (&'static str, Tone) {
    match provider.status() {
        ProviderStatus::Active => ("active", Tone::Good),
        ProviderStatus::Leaving => ("leaving", Tone::Warn),
        ProviderStatus::Unspecified => ("unknown", Tone::Dim),
    }
}

/// A provider and its offers, each proven. Which offers there are is the node's word: it may leave
/// some out, but tell no false one.
async fn proven_provider(
    prover: &Prover<'_>,
    operator: Address,
    told: Result<QueryProviderResponse, ClientError>,
) -> Result<QueryProviderResponse> {
    let provider = prover.get(&Object::Provider(operator.text())).await?.ok_or_else(|| {
        let height = prover.height();
        let message = format!("proven: after block {height} there is no provider {operator}");
        Failure::refused("market", 5, message)
    })?;
    let mut offers = Vec::new();
    for offer in told.map(|told| told.offers).unwrap_or_default().into_iter().take(OFFERS_MAX) {
        let model_id = hex(&offer.ask.unwrap_or_default().model_id);
        let key = OfferKey { model_id, operator: operator.text() };
        offers.extend(prover.get::<Offer>(&Object::Offer(key)).await?);
    }
    Ok(QueryProviderResponse { provider: Some(provider), offers })
}

fn show_provider(
    app: &App,
    answer: &QueryProviderResponse,
    proven: Option<&Verified>,
) -> Result<()> {
    let provider = answer.provider.clone().unwrap_or_default();
    let hardware = provider.hardware.clone().unwrap_or_default();
    let (status, tone) = status_of(&provider);
    let mut table = Table::fields();
    table.field_toned("operator", &provider.operator, Tone::Strong);
    table.field_toned("status", status, tone);
    table.field("endpoint", &provider.endpoint);
    table.field("region", &provider.region);
    table.field("receipt key", hex(&provider.receipt_key));
    table.field(
        "hardware",
        format!(
            "{} ({}), {} cores, {} memory",
            hardware.device,
            hardware.backend,
            hardware.cores,
            bytes(hardware.memory_bytes)
        ),
    );
    table.field(
        "bond",
        format!(
            "{} ({} locked by jobs, {} by duties, {} on its way back)",
            xpl_text(&provider.bond_uxpl),
            xpl_text(&provider.locked_uxpl),
            xpl_text(&provider.duty_locked_uxpl),
            xpl_text(&provider.queued_uxpl)
        ),
    );
    table.field("slashed", xpl_text(&provider.slashed_uxpl));
    table.field("earned", xpl_text(&provider.earned_uxpl));
    table.field(
        "jobs",
        format!(
            "{} settled, {} failed (lately {} failures, {} to deliver)",
            thousands(provider.jobs_settled.into()),
            thousands(provider.jobs_failed.into()),
            bps(provider.failure_bps),
            latency(provider.latency_ms)
        ),
    );
    table.field("registered", format!("block {}", provider.registered_height));
    if let Some(verified) = proven {
        table.field_toned("proven", verified.line(), Tone::Good);
    }
    let offers = offers_lines(&answer.offers);
    let text = [table.render(false), offers].concat();
    if app.out.is_json() {
        let mut json = proto_json(answer)?;
        if let Some(verified) = proven {
            json["proof"] = verified.json();
        }
        app.out.json(&json);
    } else {
        app.out.print(text.trim_end(), &());
    }
    Ok(())
}

fn offers_lines(offers: &[Offer]) -> String {
    let mut table = Table::new(["MODEL", "INPUT/Mtok", "OUTPUT/Mtok", "FREE SLOTS"]);
    for offer in offers {
        let ask = offer.ask.clone().unwrap_or_default();
        table.row([
            hex(&ask.model_id).chars().take(ID_CHARS).collect(),
            amount::xpl(Amount::from(ask.fresh_uxpl_per_mtok)),
            amount::xpl(Amount::from(ask.output_uxpl_per_mtok)),
            format!("{} of {}", ask.slots.saturating_sub(offer.busy), ask.slots),
        ]);
    }
    if offers.is_empty() { String::new() } else { format!("\n{}", table.render(false)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_proto::plasma::market::v1::Manifest;

    fn named(name: &str, first: u8) -> Model {
        let manifest = Manifest { name: name.into(), ..Manifest::default() };
        let mut model_id = vec![0xab; 32];
        model_id[0] = first;
        Model { model_id, manifest: Some(manifest), ..Model::default() }
    }

    #[test]
    fn models_are_found_by_name_and_id() {
        let models =
            [named("Tiny", 0x11), named("big", 0x12), named("twin", 0x20), named("twin", 0x21)];
        assert_eq!(find_model(&models, "tiny").unwrap().model_id[0], 0x11);
        assert_eq!(find_model(&models, "12AB").unwrap().model_id[0], 0x12);
        assert_eq!(find_model(&models, &hex(&models[3].model_id)).unwrap().model_id[0], 0x21);
        assert!(find_model(&models, "12a").is_err(), "too short to be an id");
        assert!(find_model(&models, "twin").unwrap_err().message.contains("several"));
        assert_eq!(find_model(&models, "none").unwrap_err().code, 3);
    }

    #[test]
    fn people_read_numbers() {
        assert_eq!([bytes(999), bytes(1_500), bytes(270_600_000)], ["999 B", "1.5 kB", "270.6 MB"]);
        assert_eq!(bps(250), "2.50%");
    }
}
