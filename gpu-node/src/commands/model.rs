use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use candle_core::Device;
use clap::Subcommand;
use plasma_modules::attestation::referee::Shape;
use plasma_proto::plasma::market::v1::{Hardware, Manifest};
use prost::Message as _;

use super::{Home, usage};
use crate::config::{Kernel, MODELS_FOLDER};
use crate::engine::referee::{KERNEL_ID, Referee};
use crate::engine::{candle, tiny};
use crate::hardware::{Backend, measure};
use crate::models::{self, Cache, Hub, ModelId, Source};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Fetches a model and prints its id
    Add {
        /// A folder, an http(s) address of a folder, or hf:OWNER/NAME[@REVISION]
        source: String,
        /// What the model is called [default: the source's last part]
        #[arg(long)]
        name: Option<String>,
        /// SPDX identifier of its licence
        #[arg(long, default_value = "NOASSERTION")]
        licence: String,
        /// Manifest that the files must match; needed for an http(s) address
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// Lists the models on this machine
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints a manifest and its model id; writes it for `xpl model publish`
    Manifest {
        /// Model id, or the folder of a model that need not have been added
        model: String,
        /// Where the manifest's bytes go
        #[arg(long, default_value = "manifest.pb", value_name = "FILE")]
        out: PathBuf,
        /// What the model is called, for a folder
        #[arg(long)]
        name: Option<String>,
        /// SPDX identifier of its licence, for a folder
        #[arg(long, default_value = "NOASSERTION")]
        licence: String,
    },
    /// Prints what the referee needs to know of a model: its dimensions and the root of its weights
    Referee {
        /// Model id, or the folder of a model that need not have been added
        model: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Deletes a model from this machine
    Remove {
        /// Model id
        model: String,
    },
    /// Writes a tiny model with random weights, for tests
    Tiny {
        /// Folder to write
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Seed of the weights
        #[arg(long, default_value_t = tiny::SEED)]
        seed: u64,
    },
}

pub(super) fn parse_id(text: &str) -> anyhow::Result<ModelId> {
    let bytes = hex::decode(text).ok().and_then(|bytes| ModelId::try_from(bytes).ok());
    let bad = || usage(format!("{text:?} is no model id: it has 64 hexadecimal digits"));
    Ok(bytes.ok_or_else(bad)?)
}

pub(super) fn cache(home: &Path) -> anyhow::Result<Cache> {
    Ok(Cache::open(&home.join(MODELS_FOLDER))?)
}

fn source(text: &str) -> Source {
    if let Some(rest) = text.strip_prefix("hf:") {
        let (repository, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        Source::Hub(Hub::from_environment(repository, revision))
    } else if text.starts_with("http://") || text.starts_with("https://") {
        Source::Web(text.to_owned())
    } else {
        Source::Folder(PathBuf::from(text))
    }
}

/// The last part of a path or address.
fn last_part(text: &str) -> String {
    let text = text.strip_prefix("hf:").unwrap_or(text);
    let text = text.split_once('@').map_or(text, |(name, _)| name).trim_end_matches('/');
    let name = text.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == "." { "model".to_owned() } else { name.to_owned() }
}

pub(super) fn run(home: &Home, command: ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::Add { source: text, name, licence, manifest } => {
            let cache = cache(&home.path)?;
            let source = source(&text);
            let id = match manifest {
                Some(path) => {
                    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
                    cache.fetch(&models::decode_manifest(&bytes)?, &source)?
                }
                None => {
                    let name = name.unwrap_or_else(|| last_part(&text));
                    match &source {
                        Source::Folder(folder) => cache.import(folder, &name, &licence)?,
                        other => cache.pull(other, &name, &licence)?,
                    }
                }
            };
            print_manifest(&id, &cache.manifest(&id)?);
            println!("to serve it, add it to {}:", home.path.join(crate::config::FILE).display());
            println!("[[models]]\nid = \"{}\"", hex::encode(id));
            println!(
                "fresh_uxpl_per_mtok = 200000\ncached_uxpl_per_mtok = 50000\noutput_uxpl_per_mtok = 600000\nslots = 1"
            );
            Ok(())
        }
        ModelCommand::List { json } => list(home, json),
        ModelCommand::Manifest { model, out, name, licence } => {
            let manifest = match parse_id(&model) {
                Ok(id) => cache(&home.path)?.manifest(&id)?,
                Err(error) => {
                    let folder = Path::new(&model);
                    if !folder.is_dir() {
                        return Err(error.context("neither an id nor a folder"));
                    }
                    models::build_manifest(
                        folder,
                        &name.unwrap_or_else(|| last_part(&model)),
                        &licence,
                    )?
                }
            };
            std::fs::write(&out, manifest.encode_to_vec())
                .with_context(|| out.display().to_string())?;
            print_manifest(&models::model_id(&manifest), &manifest);
            println!("wrote {}", out.display());
            Ok(())
        }
        ModelCommand::Referee { model, json } => referee(home, &model, json),
        ModelCommand::Remove { model } => {
            let id = parse_id(&model)?;
            cache(&home.path)?.remove(&id)?;
            println!("removed {model}");
            Ok(())
        }
        ModelCommand::Tiny { out, seed } => tiny(&out, seed),
    }
}

/// Loads a model from the cache, or a folder, with the referee's kernel.
pub(super) fn load_referee(home: &Path, model: &str) -> anyhow::Result<Arc<Referee>> {
    let loaded = match parse_id(model) {
        Ok(id) => models::load_with(&cache(home)?, &id, &Device::Cpu, Kernel::Referee)?,
        Err(error) => {
            let folder = Path::new(model);
            if !folder.is_dir() {
                return Err(error.context("neither an id nor a folder"));
            }
            candle::load_referee(folder, usize::MAX)?
        }
    };
    loaded.model().referee().map(Arc::clone).context("another kernel was loaded")
}

fn referee(home: &Home, model: &str, json: bool) -> anyhow::Result<()> {
    let referee = load_referee(&home.path, model)?;
    let root = hex::encode(referee.weights_root());
    let Shape { layers, width, heads, kv_heads, head_dim, hidden, vocab, rows, norm_eps, tied } =
        *referee.shape();
    if json {
        let all = serde_json::json!({
            "kernel": KERNEL_ID,
            "shape": {
                "layers": layers, "width": width, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim,
                "hidden": hidden, "vocab": vocab, "rows": rows, "norm_eps": norm_eps, "tied": tied,
            },
            "weights_root": root,
        });
        println!("{all}");
        return Ok(());
    }
    println!("kernel        {KERNEL_ID}");
    println!("layers        {layers}");
    println!("width         {width}, {hidden} inside");
    println!("heads         {heads} of {head_dim}, {kv_heads} of keys and values");
    println!("vocabulary    {vocab}{}", if tied { ", tied" } else { "" });
    println!("positions     {rows}");
    println!("norm epsilon  {} ({norm_eps:#010x})", f32::from_bits(norm_eps));
    println!("weights root  {root}");
    Ok(())
}

pub(super) fn tiny(out: &Path, seed: u64) -> anyhow::Result<()> {
    tiny::write_tiny(out, seed)?;
    println!("wrote a tiny model to {}", out.display());
    Ok(())
}

fn list(home: &Home, json: bool) -> anyhow::Result<()> {
    let models = cache(&home.path)?.list()?;
    let served = |id: &ModelId| home.config.models.iter().any(|served| served.id == *id);
    if json {
        let models: Vec<_> = models
            .iter()
            .map(|(id, manifest)| {
                serde_json::json!({
                    "id": hex::encode(id),
                    "name": manifest.name,
                    "dtype": manifest.dtype,
                    "bytes": size(manifest),
                    "served": served(id),
                })
            })
            .collect();
        println!("{}", serde_json::Value::Array(models));
        return Ok(());
    }
    if models.is_empty() {
        println!("no models; gpu-node model add fetches one");
    }
    for (id, manifest) in models {
        let (name, dtype, mib) = (&manifest.name, &manifest.dtype, size(&manifest) >> 20);
        let served = if served(&id) { "served" } else { "" };
        println!("{}  {name}  {dtype}  {mib} MiB  {served}", hex::encode(id));
    }
    Ok(())
}

fn size(manifest: &Manifest) -> u64 {
    manifest.files.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add)
}

fn print_manifest(id: &ModelId, manifest: &Manifest) {
    println!("model id      {}", hex::encode(id));
    println!("name          {}", manifest.name);
    println!("architecture  {}", manifest.architecture);
    println!("dtype         {}", manifest.dtype);
    println!("tokenizer     {}", manifest.tokenizer);
    println!("licence       {}", manifest.licence);
    println!("context       {} tokens", manifest.context_tokens);
    println!("template      {} tokens at most", manifest.template_tokens_max);
    for file in &manifest.files {
        println!(
            "file          {}  {}  {} bytes",
            hex::encode(&file.sha256),
            file.path,
            file.size_bytes
        );
    }
}

pub(super) fn hardware(device: &str) -> anyhow::Result<()> {
    print_hardware(&measured(device)?);
    Ok(())
}

pub(super) fn measured(device: &str) -> anyhow::Result<Hardware> {
    let backend: Backend = device.parse().map_err(anyhow::Error::msg)?;
    Ok(measure(backend)?)
}

fn print_hardware(hardware: &Hardware) {
    let Hardware { device, backend, memory_bytes, cores, f32_mflops, memory_mb_per_s } = hardware;
    println!("device            {device}");
    println!("backend           {backend}");
    println!("memory            {} MiB", memory_bytes >> 20);
    println!("cores             {cores}");
    println!("f32 arithmetic    {f32_mflops} million multiply-adds per second");
    println!("memory bandwidth  {memory_mb_per_s} MB per second");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        assert!(
            matches!(source("hf:a/b@main"), Source::Hub(hub) if hub.repository == "a/b" && hub.revision == "main")
        );
        assert!(matches!(source("https://x/y"), Source::Web(_)));
        assert!(matches!(source("./y"), Source::Folder(_)));
        for (text, name) in
            [("hf:a/b@main", "b"), ("/x/y/", "y"), ("https://h/m", "m"), ("/", "model")]
        {
            assert_eq!(last_part(text), name);
        }
    }
}
