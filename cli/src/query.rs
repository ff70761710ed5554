//! Models, providers, blocks and the node: what can be looked at, and publishing a model.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use gpu_node::client::{Client, any};
use plasma_modules::types::hex;
use plasma_modules::{Amount, market, tx};
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use plasma_proto::plasma::market::v1::{
    Manifest, Model, MsgPublishModel, Offer, Params, Provider, ProviderStatus, QueryModelsRequest,
    QueryModelsResponse, QueryOffersRequest, QueryOffersResponse, QueryParamsRequest, QueryParamsResponse,
    QueryProviderRequest, QueryProviderResponse, QueryProvidersRequest, QueryProvidersResponse, QueryTotalsRequest,
    QueryTotalsResponse,
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::App;
use crate::amount::{self, thousands, xpl_text};
use crate::error::{Failure, Result};
use crate::output::{Table, Tone, proto_json};
use crate::tx::TxArgs;

/// Pages that a list goes through at most; a page has 100 entries.
const PAGES_MAX: usize = 50;
/// Largest manifest that is read, bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Shortest part of a model's id that is taken for it, hexadecimal digits.
const PREFIX_DIGITS_MIN: usize = 4;
/// Characters of a model's id in tables.
const ID_CHARS: usize = 12;

/// Models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Make a model known, from its manifest
    Publish {
        /// manifest.pb as `gpu-node model manifest` writes it, or a folder that holds one
        manifest: PathBuf,
        /// Your share of each charge, percent
        #[arg(long, value_parser = percent, default_value = "0", value_name = "PERCENT")]
        royalty: u32,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Every model
    List,
    /// One model
    Show {
        /// Id, the begin of one, or name
        model: String,
    },
    /// Who serves a model, at what price
    Offers {
        /// Id, the begin of one, or name; the only model if left out
        model: Option<String>,
    },
}

/// Providers.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Everyone who rents out compute
    List,
    /// One provider and its prices
    Show {
        /// Operator's address, contact or key; your own if left out
        operator: Option<String>,
    },
}

/// Percent with two decimals, as basis points.
fn percent(text: &str) -> Result<u32, String> {
    let bps = amount::fixed(text.trim_end_matches('%'), 2)?;
    u32::try_from(bps).map_err(|_| "too large".to_owned())
}

fn page(key: Vec<u8>) -> Option<PageRequest> {
    Some(PageRequest { key, ..PageRequest::default() })
}

/// Goes through the pages of a list.
macro_rules! all_pages {
    ($client:expr, $path:literal, $answer:ty, $list:ident, |$page:ident| $request:expr) => {{
        let (mut found, mut key) = (Vec::new(), Vec::new());
        for _ in 0..PAGES_MAX {
            let $page = page(std::mem::take(&mut key));
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
    Ok(all_pages!(client, "/plasma.market.v1.Query/Models", QueryModelsResponse, models, |pagination| {
        QueryModelsRequest { pagination }
    }))
}

/// Every offer for a model.
///
/// # Errors
/// If no node answers.
pub async fn offers(client: &Client, model_id: &[u8]) -> Result<Vec<Offer>> {
    let model_id = hex(model_id);
    Ok(all_pages!(client, "/plasma.market.v1.Query/Offers", QueryOffersResponse, offers, |pagination| {
        QueryOffersRequest { model_id: model_id.clone(), pagination }
    }))
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
    let is_id = lower.len() >= PREFIX_DIGITS_MIN && lower.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = models.iter().filter(|model| model_name(model).to_lowercase() == lower);
    let by_id = models.iter().filter(|model| is_id && hex(&model.model_id).starts_with(&lower));
    let mut found: Vec<&Model> = named.collect();
    if found.is_empty() {
        found = by_id.collect();
    }
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::refused("market", 3, format!("no model is called {text:?}")).hint("see  xpl model list")),
        several => {
            let ids: Vec<_> = several.iter().map(|model| hex(&model.model_id)).collect();
            Err(Failure::usage(format!("{text:?} stands for several models: {}", ids.join(", ")))
                .hint("say more of the id"))
        }
    }
}

/// A model as JSON, with its id as everybody types it.
fn model_json(model: &Model) -> Result<Value> {
    let mut json = proto_json(model)?;
    json["id"] = hex(&model.model_id).into();
    Ok(json)
}

fn bps(bps: u32) -> String {
    format!("{}.{:02}%", bps / 100, bps % 100)
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut unit, mut scale) = (0, 1u64);
    while unit + 1 < UNITS.len() && count / scale >= 1000 {
        (unit, scale) = (unit + 1, scale * 1000);
    }
    let tenths = if unit == 0 { String::new() } else { format!(".{}", count % scale * 10 / scale) };
    format!("{}{tenths} {}", count / scale, UNITS[unit])
}

/// Runs `xpl model`.
///
/// # Errors
/// If there is no such model, or the chain refuses.
pub async fn model(app: &App, command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Publish { manifest, royalty, tx } => publish(app, &manifest, royalty, &tx).await,
        ModelCommand::List => {
            let models = models(&app.client().await?).await?;
            let mut table = Table::new(["ID", "NAME", "ARCH", "TYPE", "CONTEXT", "SIZE", "ROYALTY", "JOBS"]);
            for model in &models {
                let Manifest { architecture, dtype, context_tokens, files, .. } =
                    model.manifest.clone().unwrap_or_default();
                let size = files.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add);
                table.toned([
                    (hex(&model.model_id).chars().take(ID_CHARS).collect(), Tone::Dim),
                    (model_name(model), Tone::Strong),
                    (architecture, Tone::Plain),
                    (dtype, Tone::Plain),
                    (thousands(context_tokens.into()), Tone::Plain),
                    (bytes(size), Tone::Plain),
                    (bps(model.royalty_bps), Tone::Plain),
                    (thousands(model.jobs_settled.into()), Tone::Plain),
                ]);
            }
            let json = models.iter().map(model_json).collect::<Result<Vec<_>>>()?;
            app.out.table(&table, "no models yet: xpl model publish manifest.pb", &json);
            Ok(())
        }
        ModelCommand::Show { model } => {
            let models = models(&app.client().await?).await?;
            show_model(app, find_model(&models, &model)?)
        }
        ModelCommand::Offers { model } => {
            let client = app.client().await?;
            let models = models(&client).await?;
            let found = match (&model, models.as_slice()) {
                (Some(text), _) => find_model(&models, text)?,
                (None, [only]) => only,
                (None, _) => return Err(Failure::usage("which model?").hint("see  xpl model list")),
            };
            let offers = offers(&client, &found.model_id).await?;
            let json = offers.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
            app.out.table(&offers_table(&offers), "nobody serves this model", &json);
            Ok(())
        }
    }
}

fn offers_table(offers: &[Offer]) -> Table {
    let mut table = Table::new(["PROVIDER", "INPUT/Mtok", "CACHED/Mtok", "OUTPUT/Mtok", "FREE SLOTS"]);
    for offer in offers {
        let ask = offer.ask.clone().unwrap_or_default();
        let price = |uxpl: u64| amount::xpl(Amount::from(uxpl));
        table.row([
            offer.operator.clone(),
            price(ask.fresh_uxpl_per_mtok),
            price(ask.cached_uxpl_per_mtok),
            price(ask.output_uxpl_per_mtok),
            format!("{} of {}", ask.slots.saturating_sub(offer.busy), ask.slots),
        ]);
    }
    table
}

fn show_model(app: &App, model: &Model) -> Result<()> {
    let manifest = model.manifest.clone().unwrap_or_default();
    let mut table = Table::fields();
    table.field("id", hex(&model.model_id));
    table.field_toned("name", &manifest.name, Tone::Strong);
    table.field("architecture", format!("{}, {}", manifest.architecture, manifest.dtype));
    table.field("context", format!("{} tokens", thousands(manifest.context_tokens.into())));
    table.field("tokenizer", &manifest.tokenizer);
    table.field("licence", &manifest.licence);
    if !manifest.base_model.is_empty() {
        table.field("base model", hex(&manifest.base_model));
    }
    table.field("publisher", &model.publisher);
    table.field("royalty", bps(model.royalty_bps));
    table.field("published", format!("block {}", model.published_height));
    table.field("jobs settled", thousands(model.jobs_settled.into()));
    for file in &manifest.files {
        table.field("file", format!("{}  {}  sha256 {}", file.path, bytes(file.size_bytes), hex(&file.sha256)));
    }
    app.out.table(&table, "", &model_json(model)?);
    Ok(())
}

/// Reads a manifest that is encoded as the chain hashes it.
fn read_manifest(path: &Path) -> Result<Manifest> {
    let file = if path.is_dir() { path.join("manifest.pb") } else { path.to_owned() };
    let size = std::fs::metadata(&file).map_err(|error| {
        Failure::file(&file, &error).hint("make a manifest:  gpu-node model manifest FOLDER")
    })?;
    if size.len() > MANIFEST_BYTES_MAX {
        return Err(Failure::usage(format!("{}: larger than {MANIFEST_BYTES_MAX} bytes", file.display())));
    }
    let bytes = std::fs::read(&file).map_err(|error| Failure::file(&file, &error))?;
    tx::canonical(&bytes, "Manifest").map_err(|error| {
        Failure::usage(format!("{} is no manifest: {error}", file.display()))
            .hint("make one:  gpu-node model manifest FOLDER")
    })
}

async fn publish(app: &App, path: &Path, royalty_bps: u32, tx: &TxArgs) -> Result<()> {
    let manifest = read_manifest(path)?;
    let (id, publisher) = (hex(&market::model_id(&manifest)), app.own_address()?);
    let client = app.client().await?;
    let params = params(&client).await?;
    if royalty_bps > params.royalty_bps_max {
        return Err(Failure::refused("market", 17, format!("a royalty is at most {}", bps(params.royalty_bps_max))));
    }
    if models(&client).await?.iter().any(|model| hex(&model.model_id) == id) {
        return Err(Failure::refused("market", 16, format!("the model {id} is published already"))
            .hint(format!("see it:  xpl model show {}", &id[..ID_CHARS])));
    }
    app.out.note(&format!(
        "model    {} ({} files, {})\nid       {id}\nroyalty  {}",
        manifest.name,
        manifest.files.len(),
        manifest.licence,
        bps(royalty_bps)
    ));
    let name = manifest.name.clone();
    let msg = MsgPublishModel { publisher: publisher.text(), manifest: Some(manifest), royalty_bps };
    let outcome = crate::tx::send(app, &client, any(&msg), tx).await?;
    let mut json = crate::tx::outcome_json(&outcome);
    json["model_id"] = id.clone().into();
    app.out.done(&format!("{name} is published: {id}\n  transaction {} in block {}", outcome.hash, outcome.height), &json);
    Ok(())
}

/// Runs `xpl provider`.
///
/// # Errors
/// If there is no such provider.
pub async fn provider(app: &App, command: ProviderCommand) -> Result<()> {
    match command {
        ProviderCommand::List => {
            let client = app.client().await?;
            let providers =
                all_pages!(client, "/plasma.market.v1.Query/Providers", QueryProvidersResponse, providers, |pagination| {
                    QueryProvidersRequest { pagination }
                });
            let mut table = Table::new(["OPERATOR", "STATUS", "REGION", "BOND", "SETTLED", "FAILED", "LATENCY"]);
            for provider in &providers {
                let Provider { operator, region, bond_uxpl, jobs_settled, jobs_failed, .. } = provider.clone();
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
        ProviderCommand::Show { operator } => {
            let address = operator.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
            let client = app.client().await?;
            let request = QueryProviderRequest { operator: address.text() };
            let answer: QueryProviderResponse = client.query("/plasma.market.v1.Query/Provider", &request).await?;
            show_provider(app, &answer)
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

fn show_provider(app: &App, answer: &QueryProviderResponse) -> Result<()> {
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
        format!("{} ({}), {} cores, {} memory", hardware.device, hardware.backend, hardware.cores, bytes(hardware.memory_bytes)),
    );
    table.field(
        "bond",
        format!(
            "{} ({} locked by jobs, {} on its way back)",
            xpl_text(&provider.bond_uxpl),
            xpl_text(&provider.locked_uxpl),
            xpl_text(&provider.queued_uxpl)
        ),
    );
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
    let offers = offers_lines(&answer.offers);
    let text = [table.render(false), offers].concat();
    if app.out.is_json() {
        app.out.json(&proto_json(answer)?);
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

/// Runs `xpl block`.
///
/// # Errors
/// If the node does not have it.
pub async fn block(app: &App, height: Option<u64>) -> Result<()> {
    let block = app.client().await?.block(height).await?;
    let hashes: Vec<String> = block
        .txs
        .iter()
        .filter(|bytes| bytes.first() != Some(&tx::INJECTED_TX_PREFIX))
        .map(|bytes| tx::hash(bytes))
        .collect();
    let mut table = Table::fields();
    table.field_toned("height", thousands(block.height.into()), Tone::Strong);
    table.field("time", utc(block.time_s));
    table.field("hash", &block.hash);
    table.field("proposer", &block.proposer);
    table.field("app hash", &block.app_hash);
    table.field("transactions", hashes.len().to_string());
    for hash in &hashes {
        table.field("", hash);
    }
    let json = json!({
        "height": block.height,
        "time": utc(block.time_s),
        "time_s": block.time_s,
        "hash": block.hash,
        "proposer": block.proposer,
        "app_hash": block.app_hash,
        "txs": hashes,
    });
    app.out.table(&table, "", &json);
    Ok(())
}

/// Runs `xpl status`.
///
/// # Errors
/// If no node answers.
pub async fn status(app: &App) -> Result<()> {
    let client = app.client().await?;
    let status = client.status().await?;
    let totals: QueryTotalsResponse =
        client.query("/plasma.market.v1.Query/Totals", &QueryTotalsRequest {}).await?;
    let totals = totals.totals.unwrap_or_default();
    let prices = client.prices().await?;
    let mut table = Table::fields();
    table.field_toned("chain", &status.chain_id, Tone::Strong);
    table.field("node", format!("{} ({}, CometBFT {})", client.url(), status.moniker, status.version));
    table.field("height", format!("{} at {}", thousands(status.height.into()), utc(status.time_s)));
    match status.catching_up {
        true => table.field_toned("sync", "catching up: what it says may be old", Tone::Warn),
        false => table.field_toned("sync", "up to date", Tone::Good),
    }
    table.field("gas", format!("{} nano-uxpl each", thousands(prices.base_nuxpl_per_gas.into())));
    table.field(
        "jobs",
        format!(
            "{} opened, {} settled, {} refunded",
            thousands(totals.jobs_opened.into()),
            thousands(totals.jobs_settled.into()),
            thousands(totals.jobs_refunded.into())
        ),
    );
    table.field("charged", xpl_text(&totals.charged_uxpl));
    table.field("burned", xpl_text(&totals.burned_uxpl));
    let json = json!({
        "chain_id": status.chain_id,
        "node": client.url(),
        "moniker": status.moniker,
        "version": status.version,
        "height": status.height,
        "time_s": status.time_s,
        "catching_up": status.catching_up,
        "base_fee_nuxpl_per_gas": prices.base_nuxpl_per_gas,
        "byte_price_nuxpl": prices.byte_nuxpl,
        "market": proto_json(&totals)?,
    });
    app.out.table(&table, "", &json);
    Ok(())
}

/// Unix seconds as a date and time in UTC (RFC 3339).
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date in the Gregorian calendar, counted in eras of 400 years from 1 March 0000.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, first: u8) -> Model {
        let manifest = Manifest { name: name.into(), ..Manifest::default() };
        let mut model_id = vec![0xab; 32];
        model_id[0] = first;
        Model { model_id, manifest: Some(manifest), ..Model::default() }
    }

    #[test]
    fn models_are_found_by_name_and_id() {
        let models = [named("Tiny", 0x11), named("big", 0x12), named("twin", 0x20), named("twin", 0x21)];
        assert_eq!(find_model(&models, "tiny").unwrap().model_id[0], 0x11);
        assert_eq!(find_model(&models, "12AB").unwrap().model_id[0], 0x12);
        assert_eq!(find_model(&models, &hex(&models[3].model_id)).unwrap().model_id[0], 0x21);
        assert!(find_model(&models, "12a").is_err(), "too short to be an id");
        assert!(find_model(&models, "twin").unwrap_err().message.contains("several"));
        assert_eq!(find_model(&models, "none").unwrap_err().code, 3);
    }

    #[test]
    fn manifests_are_read_as_the_chain_hashes_them() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest { name: "tiny".into(), context_tokens: 1024, ..Manifest::default() };
        std::fs::write(folder.path().join("manifest.pb"), manifest.encode_to_vec()).unwrap();
        assert_eq!(read_manifest(folder.path()).unwrap(), manifest);
        assert_eq!(read_manifest(&folder.path().join("manifest.pb")).unwrap(), manifest);
        std::fs::write(folder.path().join("manifest.pb"), b"\xff\xff\xff").unwrap();
        assert!(read_manifest(folder.path()).is_err());
        assert!(read_manifest(&folder.path().join("none")).is_err());
    }

    #[test]
    fn people_read_numbers() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!([bytes(999), bytes(1_500), bytes(270_600_000)], ["999 B", "1.5 kB", "270.6 MB"]);
        assert_eq!(percent("2.5%"), Ok(250));
        assert_eq!(bps(250), "2.50%");
    }
}
