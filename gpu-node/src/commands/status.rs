use anyhow::Context as _;
use plasma_modules::Address;
use plasma_proto::plasma::market::v1::{
    ProviderStatus, QueryProviderRequest, QueryProviderResponse,
};
use serde_json::json;

use super::Home;
use crate::chain::assigned;
use crate::client::Client;
use crate::config::OUTBOX_FOLDER;
use crate::outbox::Outbox;

pub(super) async fn status(home: &Home, as_json: bool) -> anyhow::Result<()> {
    let client = Client::connect(&home.config.node).await?;
    let node = client.status().await?;
    let reporter = home.keys().reporter_address()?;
    let reporter_uxpl = client.balance(Address::parse(&reporter)?).await?;
    let waiting = Outbox::peek(&home.path.join(OUTBOX_FOLDER))?.len();
    let Ok(operator) = home.config.operator(&home.path) else {
        if as_json {
            let status = json!({
                "chain_id": node.chain_id, "height": node.height, "catching_up": node.catching_up,
                "reporter": reporter, "reporter_uxpl": reporter_uxpl.text(),
                "operator": null, "provider": null, "outbox": waiting,
            });
            println!("{status}");
        } else {
            println!("chain     {} at block {}", node.chain_id, node.height);
            println!("reporter  {reporter}  {reporter_uxpl}uxpl");
            println!("provider  not registered from here: gpu-node register");
        }
        return Ok(());
    };
    let operator_uxpl = client.balance(operator).await?;
    let request = QueryProviderRequest { operator: operator.text() };
    let path = "/plasma.market.v1.Query/Provider";
    let found: Option<QueryProviderResponse> = client.find(path, &request).await?;
    let jobs = assigned(&client, &operator.text()).await?;
    let provider = found.as_ref().and_then(|found| found.provider.as_ref());
    if as_json {
        let provider = provider.map(|provider| {
            json!({
                "status": provider.status().as_str_name(),
                "receipt_key": hex::encode(&provider.receipt_key),
                "bond_uxpl": provider.bond_uxpl,
                "locked_uxpl": provider.locked_uxpl,
                "earned_uxpl": provider.earned_uxpl,
                "jobs_settled": provider.jobs_settled,
                "jobs_failed": provider.jobs_failed,
            })
        });
        let status = json!({
            "chain_id": node.chain_id, "height": node.height, "catching_up": node.catching_up,
            "operator": operator.text(), "operator_uxpl": operator_uxpl.text(),
            "reporter": reporter, "reporter_uxpl": reporter_uxpl.text(),
            "provider": provider, "jobs_assigned": jobs.len(), "outbox": waiting,
        });
        println!("{status}");
        return Ok(());
    }
    let behind = if node.catching_up { ", catching up" } else { "" };
    println!("chain     {} at block {}{behind}", node.chain_id, node.height);
    println!("operator  {operator}  {operator_uxpl}uxpl");
    println!("reporter  {reporter}  {reporter_uxpl}uxpl");
    match provider {
        None => println!("provider  not registered: gpu-node register"),
        Some(provider) => {
            let state = match provider.status() {
                ProviderStatus::Active => "active",
                ProviderStatus::Leaving => "leaving",
                ProviderStatus::Unspecified => "unknown",
            };
            println!(
                "provider  {state}; bond {}uxpl, {}uxpl of it locked",
                provider.bond_uxpl, provider.locked_uxpl
            );
            println!(
                "jobs      {} settled, {} failed, {} assigned now; earned {}uxpl",
                provider.jobs_settled,
                provider.jobs_failed,
                jobs.len(),
                provider.earned_uxpl
            );
        }
    }
    for offer in found.iter().flat_map(|found| &found.offers) {
        if let Some(ask) = &offer.ask {
            println!(
                "offer     {}  {}/{}/{} uxpl per Mtok (fresh/cached/output), {} of {} slots busy",
                hex::encode(&ask.model_id),
                ask.fresh_uxpl_per_mtok,
                ask.cached_uxpl_per_mtok,
                ask.output_uxpl_per_mtok,
                offer.busy,
                ask.slots
            );
        }
    }
    println!("outbox    {waiting} waiting");
    Ok(())
}

pub(super) fn outbox(home: &Home) -> anyhow::Result<()> {
    let root = home.path.join(OUTBOX_FOLDER);
    let found = Outbox::peek(&root).with_context(|| root.display().to_string())?;
    if found.is_empty() {
        println!("nothing waits");
    }
    for ((job_id, attempt), answer) in found {
        let kind = answer.as_ref().map_or("DAMAGED", |answer| answer.kind());
        println!("job {job_id}  attempt {attempt}  {kind}");
    }
    Ok(())
}
