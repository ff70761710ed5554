//! Logs: to stderr, at a level that can be changed while the node runs.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Longest filter, bytes.
pub const FILTER_BYTES_MAX: usize = 1024;

/// The logs of this process.
#[derive(Clone)]
pub struct Logs {
    filter: Arc<Mutex<String>>,
    handle: reload::Handle<EnvFilter, Registry>,
}

fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    ensure!(!filter.is_empty(), "the log filter is empty; write a level, for example info");
    ensure!(filter.len() <= FILTER_BYTES_MAX, "a log filter has at most {FILTER_BYTES_MAX} bytes");
    EnvFilter::try_new(filter).with_context(|| {
        format!(
            "log filter {filter:?} is not understood; it looks like info or info,plasma_app=debug"
        )
    })
}

impl Logs {
    /// Starts them, once per process. Where `json` is set each line is one JSON object.
    pub fn start(filter: &str, json: bool) -> anyhow::Result<Self> {
        let (layer, handle) = reload::Layer::new(parse(filter)?);
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(!json && std::io::stderr().is_terminal());
        let registry = tracing_subscriber::registry().with(layer);
        if json {
            registry.with(lines.json()).init();
        } else {
            registry.with(lines).init();
        }
        Ok(Self { filter: Arc::new(Mutex::new(filter.to_owned())), handle })
    }

    /// What is logged now.
    pub fn filter(&self) -> String {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs by another filter from now on, until the process ends.
    pub fn set(&self, filter: &str) -> anyhow::Result<()> {
        let parsed = parse(filter)?;
        let mut kept = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(parsed)?;
        filter.clone_into(&mut kept);
        drop(kept);
        tracing::info!(filter, "the log filter is another");
        Ok(())
    }
}
