//! A chain with very many accounts: filled by transfers in real blocks, because CometBFT hands a
//! genesis over in one message of at most 64 MiB.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gpu_node::client::{any, sign_tx};
use plasma_modules::Address;
use plasma_proto::cosmos::{
    bank::v1beta1::{Input, MsgMultiSend, Output},
    base::v1beta1::Coin,
};
use plasma_testnet::{
    load::{self, Accounts, resident_mb},
    process::Programs,
};
use serde_json::{Value, json};

use super::{Cli, Setup, network};

/// Accounts that one transaction makes.
const OUTPUTS: usize = 256;
/// What each new account gets: the least that opens one.
const ACCOUNT_UXPL: usize = 100;
/// Gas limit and fee of such a transaction.
const GAS: u64 = 6_000_000;
const FEE_UXPL: u128 = 1_000_000;
/// Who pays: each has one transaction at a time in the mempool's order.
const PAYERS: usize = 8;
/// Code of a check that finds no room, codespace `sdk`.
const MEMPOOL_FULL: u64 = 20;
/// How long one transaction may wait.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(
    cli: &Cli,
    programs: &Programs,
    runtime: &tokio::runtime::Runtime,
    home: &Path,
) -> Result<()> {
    let payers = Accounts::new(PAYERS, 2)?;
    let chain_id = "plasma-holders-1";
    let setup = Setup { door: false, index: true, subscriptions: false };
    let mut network = network(cli, programs, &payers, chain_id, home, setup)?;
    let url = network.validators[0].urls.rpc.clone();
    let coin = |units: usize| vec![Coin { denom: "uxpl".into(), amount: units.to_string() }];
    let count = cli.holders.div_ceil(OUTPUTS);
    let started = Instant::now();
    let mut last = String::new();
    runtime.block_on(async {
        let client = reqwest::Client::new();
        for part in 0..count {
            let outputs = (part * OUTPUTS..((part + 1) * OUTPUTS).min(cli.holders)).map(|index| {
                let address = Address::of_module(&format!("holder {index}")).text();
                Output { address, coins: coin(ACCOUNT_UXPL) }
            });
            let outputs: Vec<_> = outputs.collect();
            let (payer, sequence) = (part % PAYERS, (part / PAYERS) as u64);
            let wallet = payers.wallet(payer);
            let input = Input { address: wallet.address().text(), coins: coin(outputs.len() * ACCOUNT_UXPL) };
            let message = any(&MsgMultiSend { inputs: vec![input], outputs });
            let number = payer as u64;
            let tx =
                sign_tx(chain_id, wallet, vec![message], number, sequence, GAS, FEE_UXPL, "");
            last = plasma_modules::tx::hash(&tx);
            let params = json!({ "tx": STANDARD.encode(&tx) });
            let call = json!({ "jsonrpc": "2.0", "id": part, "method": "broadcast_tx_sync", "params": params });
            let sent = Instant::now();
            loop {
                let answer: Value = client.post(&url).json(&call).send().await?.json().await?;
                if answer["result"]["code"] == 0 {
                    break;
                }
                // CometBFT's mempool has no room, or plasmad's list of what waits.
                let error = answer["error"]["data"].as_str().unwrap_or_default();
                let full = error.contains("full") || answer["result"]["code"] == MEMPOOL_FULL;
                anyhow::ensure!(full && sent.elapsed() < PATIENCE, "not taken: {answer}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if part % 500 == 499 {
                eprintln!("{} accounts, {:.0} s", (part + 1) * OUTPUTS, started.elapsed().as_secs_f64());
            }
        }
        anyhow::Ok(())
    })?;
    let client = reqwest::Client::new();
    let rest = network.validators[0].urls.rest.clone();
    load::until("the last account", PATIENCE, || {
        Ok(runtime.block_on(load::included_at(&client, &rest, &last))?.is_some())
    })?;
    let filled = started.elapsed();
    let resident = |network: &plasma_testnet::comet::Network| -> Result<(f64, f64)> {
        let validator = &network.validators[0];
        let (app, comet) = validator.plasmad_id().zip(validator.cometbft_id()).context("gone")?;
        Ok((resident_mb(app)?, resident_mb(comet)?))
    };
    let after = resident(&network)?;
    let height = network.validators[0].height()?;
    let stopped = Instant::now();
    network.validators[0].stop();
    let stopped = stopped.elapsed();
    let start = Instant::now();
    network.validators[0].restart()?;
    network.wait_for_block(height + 1)?;
    let start = start.elapsed();
    network.wait_for_block(height + 20)?;
    let rest = resident(&network)?;
    println!("{} accounts, filled in {:.0} s, height {height}", cli.holders, filled.as_secs_f64());
    println!(
        "  RSS after filling         plasmad {:>6.0} MB   cometbft {:>6.0} MB",
        after.0, after.1
    );
    println!(
        "  stop {:.1} s, start to the next block {:.1} s",
        stopped.as_secs_f64(),
        start.as_secs_f64()
    );
    println!(
        "  RSS 20 blocks after start plasmad {:>6.0} MB   cometbft {:>6.0} MB   (goal for plasmad: below 1200)",
        rest.0, rest.1
    );
    Ok(())
}
