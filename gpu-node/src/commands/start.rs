use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use plasma_modules::Address;
use plasma_proto::plasma::market::v1::{QueryProviderRequest, QueryProviderResponse};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::{Home, keys, model, usage};
use crate::api::{self, Api, Offered};
use crate::chain::{self, Health, Service, Serving};
use crate::client::{Client, ClientError};
use crate::config::{Config, JURY_FOLDER, OUTBOX_FOLDER};
use crate::engine::EngineHandle;
use crate::game;
use crate::hardware::Backend;
use crate::jury::{self, Judge};
use crate::metrics::Metrics;
use crate::models;
use crate::outbox::Outbox;
use crate::receipt::ReceiptKey;
use crate::schedule::ModelId;

/// Environment variable by which the kernels are told their threads.
const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";
/// How often a chain that does not answer at the start is tried.
const CHAIN_RETRY: Duration = Duration::from_secs(2);
/// How long callers of the HTTP interfaces may take to end when the node stops.
const STOP_HTTP: Duration = Duration::from_secs(5);

/// The kernels read their number of threads from the environment, once, at the start: this process begins anew
/// with it set.
pub(super) fn set_threads(config: &Config) -> anyhow::Result<()> {
    let wanted = config.threads.to_string();
    if config.threads == 0 || std::env::var(THREADS_VARIABLE).is_ok_and(|set| set == wanted) {
        return Ok(());
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        let program = std::env::current_exe().context("the path of this program")?;
        let error = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(THREADS_VARIABLE, wanted)
            .exec();
        Err(error).context("beginning anew with threads set")
    }
    #[cfg(not(unix))]
    bail!("set the environment variable {THREADS_VARIABLE}={wanted} for threads = {wanted}");
}

pub(super) async fn start(home: Home) -> anyhow::Result<()> {
    let config = &home.config;
    ensure!(
        !config.models.is_empty(),
        usage("no model is served: add [[models]] to gpu-node.toml")
    );
    let operator = config.operator(&home.path)?;
    let keys::Open { receipt, reporter } = home.keys().open()?;
    let outbox = Outbox::open(&home.path.join(OUTBOX_FOLDER))?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(signals(stop));

    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::default());
    // First, so that a supervisor can see that the node is alive while models load.
    let listener = listen(config.metrics_listen).await?;
    let metrics_address = listener.local_addr()?;
    let service_routes = api::service_routes(Arc::clone(&metrics), Arc::clone(&health))
        .merge(api::evidence_routes(home.path.join(OUTBOX_FOLDER)));
    let mut servers = vec![tokio::spawn(serve(listener, service_routes, stopped.clone()))];

    let (home_models, judges) = {
        let (path, config) = (home.path.clone(), config.clone());
        tokio::task::spawn_blocking(move || load(&path, &config)).await??
    };
    let mut waiting = stopped.clone();
    let client = tokio::select! {
        client = connect(&config.node) => client?,
        _ = waiting.changed() => return Ok(()),
    };
    let key = ReceiptKey::new(&receipt, client.chain_id());
    drop(receipt);
    check_provider(&client, operator, &key, &home_models).await?;

    if config.api.enabled {
        let offered = home_models
            .iter()
            .map(|(id, serving)| {
                let offered =
                    Offered { name: serving.name.clone(), engine: serving.engine.clone() };
                (hex::encode(id), offered)
            })
            .collect();
        let api = &config.api;
        let routes = api::routes(Arc::new(Api::new(
            offered,
            &api.token,
            api.max_tokens,
            api.concurrent,
            Arc::clone(&metrics),
        )));
        let listener = listen(api.listen).await?;
        tracing::info!(listen = %listener.local_addr()?, "local interface");
        servers.push(tokio::spawn(serve(listener, routes, stopped.clone())));
    }

    metrics.outbox_depth.set(i64::try_from(outbox.depth()).unwrap_or(i64::MAX));
    let (answers, chain_id) = (outbox.depth(), client.chain_id().to_owned());
    let models = home_models.len();
    let outbox_folder = home.path.join(OUTBOX_FOLDER);
    let verdicts = home.path.join(JURY_FOLDER);
    let service = Arc::new(Service {
        client,
        operator,
        key,
        reporter,
        models: home_models,
        outbox,
        metrics,
        sending: tokio::sync::Mutex::default(),
        wake: Notify::new(),
        health,
    });
    tell_pools(&service, judges.keys()).await;
    let defender = game::Defender { service: Arc::clone(&service), models: judges.clone() };
    defender.check().await?;
    let defence = tokio::spawn(game::serve(defender, stopped.clone()));
    let jury = jury::open(Arc::clone(&service), judges, &outbox_folder, &verdicts)?;
    let juror = tokio::spawn(jury::serve(jury, stopped.clone()));
    // What a former run left goes first.
    service.wake.notify_one();
    let (carrier_stop, carrier_stopped) = watch::channel(false);
    let carrier = tokio::spawn(chain::carry(Arc::clone(&service), carrier_stopped));
    let watcher = tokio::spawn(chain::watch(Arc::clone(&service), stopped.clone()));
    tracing::info!(%operator, chain_id, models, answers, metrics = %metrics_address, "working");
    println!(
        "gpu-node ready: provider {operator} on {chain_id}, {models} models, metrics on http://{metrics_address}"
    );

    // Ends when told to; the carrier goes last, with what the watcher wrote.
    let watched = watcher.await;
    let judged = juror.await;
    let defended = defence.await;
    let _ = carrier_stop.send(true);
    let carried = carrier.await;
    for server in servers {
        let _ = timeout(STOP_HTTP, server).await;
    }
    watched.context("the watcher broke")?;
    judged.context("the juror broke")?;
    defended.context("the defence of claims broke")?;
    carried.context("the carrier broke")?;
    if !*stopped.borrow() {
        bail!("stopped without being told to");
    }
    tracing::info!(answers = service.outbox.depth(), "stopped");
    Ok(())
}

/// What is served, and by what claims are judged.
type Loaded = (BTreeMap<ModelId, Serving>, BTreeMap<ModelId, Judge>);

/// Tells of models in whose pool the operator is not: it takes no seat for them, and if nobody does, they are not
/// verified.
async fn tell_pools(service: &Service, models: impl Iterator<Item = &ModelId>) {
    for model_id in models {
        let model = hex::encode(model_id);
        match super::jury::standing(&service.client, &model, &service.operator.text()).await {
            Ok(Some((_, false))) => tracing::warn!(
                model,
                "this operator is not in the model's pool and judges no claims of it: gpu-node jury join"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(model, %error, "the model's pool cannot be asked for"),
        }
    }
}

/// Loads every configured model. One that is served is judged by the same weights.
fn load(home: &std::path::Path, config: &Config) -> anyhow::Result<Loaded> {
    let backend: Backend = config.device.parse().map_err(anyhow::Error::msg)?;
    let device = backend.open()?;
    let cache = model::cache(home)?;
    let (mut loaded, mut judges) = (BTreeMap::new(), BTreeMap::new());
    for served in &config.models {
        let id = served.id;
        let hexadecimal = hex::encode(id);
        tracing::info!(model = hexadecimal, %backend, "loading");
        let manifest = cache.manifest(&id).with_context(|| format!("model {hexadecimal}"))?;
        let engine = models::load_with(&cache, &id, &device, served.kernel)
            .with_context(|| format!("model {hexadecimal}"))?;
        let judge = engine.with_model(|model| model, &device);
        judges.insert(id, Judge::new(Mutex::new(judge)));
        let engine = EngineHandle::spawn(Box::new(engine))?;
        tracing::info!(
            model = hexadecimal,
            name = manifest.name,
            kernel = engine.info().kernel_id,
            "loaded"
        );
        loaded.insert(id, Serving { engine, name: manifest.name, slots: served.slots });
    }
    for id in &config.jury.models {
        if !judges.contains_key(id) {
            let model = hex::encode(id);
            tracing::info!(model, %backend, "loading, to judge");
            let judge =
                models::load(&cache, id, &device).with_context(|| format!("model {model}"))?;
            judges.insert(*id, Judge::new(Mutex::new(judge)));
        }
    }
    Ok((loaded, judges))
}

/// Waits for the chain: services start in any order.
async fn connect(url: &str) -> anyhow::Result<Client> {
    let mut told = false;
    loop {
        match Client::connect(url).await {
            Ok(client) => return Ok(client),
            Err(error @ (ClientError::Unreachable { .. } | ClientError::Node { .. })) => {
                if !told {
                    tracing::warn!(%error, "waiting for the chain");
                }
                told = true;
            }
            Err(error) => return Err(error.into()),
        }
        sleep(CHAIN_RETRY).await;
    }
}

/// The chain knows the operator by this receipt key; differences in what is offered are told.
async fn check_provider(
    client: &Client,
    operator: Address,
    key: &ReceiptKey,
    models: &BTreeMap<ModelId, Serving>,
) -> anyhow::Result<()> {
    let request = QueryProviderRequest { operator: operator.text() };
    let found: QueryProviderResponse = loop {
        match client.query("/plasma.market.v1.Query/Provider", &request).await {
            Ok(found) => break found,
            Err(ClientError::NotFound(_)) => {
                bail!("{operator} is no provider on {}: run gpu-node register", client.chain_id())
            }
            // A chain that has just begun may have no state yet.
            Err(error) => {
                tracing::warn!(%error, "the chain cannot say who its providers are; trying on");
                sleep(CHAIN_RETRY).await;
            }
        }
    };
    let provider = found.provider.unwrap_or_default();
    if provider.receipt_key != key.public() {
        bail!(
            "the chain knows another receipt key for {operator}: run gpu-node update --rotate-receipt-key, or set --home"
        );
    }
    for ask in found.offers.iter().filter_map(|offer| offer.ask.as_ref()) {
        let served = ModelId::try_from(ask.model_id.as_slice()).ok().and_then(|id| models.get(&id));
        let model = hex::encode(&ask.model_id);
        match served {
            None => tracing::warn!(
                model,
                "offered on the chain but not served here: its jobs will be declined"
            ),
            Some(serving) if serving.slots != ask.slots => {
                tracing::warn!(
                    model,
                    here = serving.slots,
                    chain = ask.slots,
                    "slots differ: run gpu-node update"
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn listen(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on: is another gpu-node running?"))
}

async fn serve(listener: TcpListener, routes: Router, mut stop: watch::Receiver<bool>) {
    let told = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(told).await {
        tracing::error!(%error, "an HTTP interface broke");
    }
}

/// The first Ctrl-C or SIGTERM stops the node in order, the second at once.
async fn signals(stop: watch::Sender<bool>) {
    if let Err(error) = signal().await {
        tracing::error!(%error, "signals cannot be listened to");
        return;
    }
    tracing::info!("stopping: running jobs end and answers are sent; once more to stop at once");
    let _ = stop.send(true);
    if signal().await.is_ok() {
        tracing::warn!("stopped at once; answers on disk are sent at the next start");
        std::process::exit(130);
    }
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
