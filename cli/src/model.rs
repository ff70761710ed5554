//! `xpl model`: publishing models, and who serves them at what price.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gpu_node::client::{Client, any};
use plasma_modules::types::hex;
use plasma_modules::{Amount, market, tx};
use plasma_proto::plasma::market::v1::{Manifest, Model, MsgPublishModel, Offer};
use plasma_proto::plasma::proof::v1::query_proof_request::Object;
use serde_json::Value;

use crate::App;
use crate::amount::{self, thousands};
use crate::error::{Failure, Result};
use crate::light::{ProveArgs, Verified};
use crate::output::{Table, Tone, proto_json};
use crate::prove::Prover;
use crate::query::{ID_CHARS, bps, bytes, find_model, model_name, models, offers, params};
use crate::tx::TxArgs;

/// Largest manifest that is read, bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Make a model known, from its manifest
    Publish {
        /// manifest.pb as `gpu-node model manifest` writes it, a folder that holds one, or a model's folder
        manifest: PathBuf,
        #[command(flatten)]
        described: Described,
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
        #[command(flatten)]
        prove: ProveArgs,
    },
    /// Who serves a model, at what price
    Offers {
        /// Id, the begin of one, or name; the only model if left out
        model: Option<String>,
    },
}

/// What a model's own folder does not say.
#[derive(Debug, Args)]
pub struct Described {
    /// What the model is called, for a model's folder [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
    /// SPDX identifier of its licence, for a model's folder
    #[arg(long, default_value = "NOASSERTION")]
    licence: String,
}

/// Percent with two decimals, as basis points.
fn percent(text: &str) -> Result<u32, String> {
    let bps = amount::fixed(text.trim_end_matches('%'), 2)?;
    u32::try_from(bps).map_err(|_| "too large".to_owned())
}

/// A model as JSON, with its id as everybody types it.
fn model_json(model: &Model) -> Result<Value> {
    let mut json = proto_json(model)?;
    json["id"] = hex(&model.model_id).into();
    Ok(json)
}

/// Runs `xpl model`.
///
/// # Errors
/// If there is no such model, or the chain refuses.
pub async fn run(app: &App, command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Publish { manifest, described, royalty, tx } => {
            publish(app, &manifest, &described, royalty, &tx).await
        }
        ModelCommand::List => {
            let models = models(&app.client().await?).await?;
            let mut table =
                Table::new(["ID", "NAME", "ARCH", "TYPE", "CONTEXT", "SIZE", "ROYALTY", "JOBS"]);
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
        ModelCommand::Show { model, prove } => {
            let client = app.client().await?;
            if prove.prove {
                let prover = Prover::open(app, &client, &prove).await?;
                let model = proven_model(&prover, &client, &model).await?;
                return show_model(app, &model, Some(&prover.verified));
            }
            let models = models(&client).await?;
            show_model(app, find_model(&models, &model)?, None)
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
    let mut table =
        Table::new(["PROVIDER", "INPUT/Mtok", "CACHED/Mtok", "OUTPUT/Mtok", "FREE SLOTS"]);
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

/// A model, proven by its id. Which id a name or a part of an id stands for is the node's word.
async fn proven_model(prover: &Prover<'_>, client: &Client, text: &str) -> Result<Model> {
    let whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = if whole {
        text.to_lowercase()
    } else {
        hex(&find_model(&models(client).await?, text)?.model_id)
    };
    prover.get(&Object::Model(id.clone())).await?.ok_or_else(|| {
        let message = format!("proven: after block {} there is no model {id}", prover.height());
        Failure::refused("market", 3, message)
    })
}

fn show_model(app: &App, model: &Model, proven: Option<&Verified>) -> Result<()> {
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
        table.field(
            "file",
            format!("{}  {}  sha256 {}", file.path, bytes(file.size_bytes), hex(&file.sha256)),
        );
    }
    let mut json = model_json(model)?;
    if let Some(verified) = proven {
        table.field_toned("proven", verified.line(), Tone::Good);
        json["proof"] = verified.json();
    }
    app.out.table(&table, "", &json);
    Ok(())
}

/// Reads a manifest that is encoded as the chain hashes it; a model's folder is described.
fn read_manifest(path: &Path, described: &Described) -> Result<Manifest> {
    let inside = path.join("manifest.pb");
    if path.is_dir() && !inside.exists() {
        return describe(path, described);
    }
    let file = if path.is_dir() { inside } else { path.to_owned() };
    let size = std::fs::metadata(&file).map_err(|error| {
        Failure::file(&file, &error).hint("make a manifest:  gpu-node model manifest FOLDER")
    })?;
    if size.len() > MANIFEST_BYTES_MAX {
        return Err(Failure::usage(format!(
            "{}: larger than {MANIFEST_BYTES_MAX} bytes",
            file.display()
        )));
    }
    let bytes = std::fs::read(&file).map_err(|error| Failure::file(&file, &error))?;
    tx::canonical(&bytes, "Manifest").map_err(|error| {
        Failure::usage(format!("{} is no manifest: {error}", file.display()))
            .hint("make one:  gpu-node model manifest FOLDER")
    })
}

/// Hashes a model's files and reads what they tell of it.
#[cfg(feature = "verify")]
fn describe(folder: &Path, Described { name, licence }: &Described) -> Result<Manifest> {
    let own = folder
        .canonicalize()
        .ok()
        .and_then(|folder| Some(folder.file_name()?.to_str()?.to_owned()));
    let name = name
        .clone()
        .or(own)
        .ok_or_else(|| Failure::usage("what is the model called?").hint("say --name NAME"))?;
    gpu_node::models::build_manifest(folder, &name, licence)
        .map_err(|error| Failure::usage(error.to_string()))
}

#[cfg(not(feature = "verify"))]
fn describe(folder: &Path, _: &Described) -> Result<Manifest> {
    Err(Failure::usage(format!("{} holds no manifest.pb", folder.display()))
        .hint("make one:  gpu-node model manifest FOLDER"))
}

async fn publish(
    app: &App,
    path: &Path,
    described: &Described,
    royalty_bps: u32,
    tx: &TxArgs,
) -> Result<()> {
    let manifest = read_manifest(path, described)?;
    let (id, publisher) = (hex(&market::model_id(&manifest)), app.own_address()?);
    let client = app.client().await?;
    let params = params(&client).await?;
    if royalty_bps > params.royalty_bps_max {
        return Err(Failure::refused(
            "market",
            17,
            format!("a royalty is at most {}", bps(params.royalty_bps_max)),
        ));
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
    let msg =
        MsgPublishModel { publisher: publisher.text(), manifest: Some(manifest), royalty_bps };
    let outcome = crate::tx::send(app, &client, any(&msg), tx).await?;
    let mut json = crate::tx::outcome_json(&outcome);
    json["model_id"] = id.clone().into();
    app.out.done(
        &format!(
            "{name} is published: {id}\n  transaction {} in block {}",
            outcome.hash, outcome.height
        ),
        &json,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn manifests_are_read_as_the_chain_hashes_them() {
        let folder = tempfile::tempdir().unwrap();
        let described = Described { name: None, licence: "MIT".into() };
        let manifest =
            Manifest { name: "tiny".into(), context_tokens: 1024, ..Manifest::default() };
        std::fs::write(folder.path().join("manifest.pb"), manifest.encode_to_vec()).unwrap();
        assert_eq!(read_manifest(folder.path(), &described).unwrap(), manifest);
        assert_eq!(
            read_manifest(&folder.path().join("manifest.pb"), &described).unwrap(),
            manifest
        );
        std::fs::write(folder.path().join("manifest.pb"), b"\xff\xff\xff").unwrap();
        assert!(read_manifest(folder.path(), &described).is_err());
        assert!(read_manifest(&folder.path().join("none"), &described).is_err());
    }

    #[test]
    fn royalties_are_exact() {
        assert_eq!(percent("2.5%"), Ok(250));
        assert_eq!(percent("10"), Ok(1000));
        assert!(percent("0.001").is_err());
    }
}
