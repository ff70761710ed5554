//! What the chain costs on this machine: transfers through FinalizeBlock and Commit, commits by
//! size, and plasmad at rest. Prints figures; asserts nothing about them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use gpu_node::{
    client::{self, any},
    wallet::Wallet,
};
use plasma_app::{
    files::GenesisAccount,
    node::{Decided, Keep, Node},
};
use plasma_modules::{Address, Amount, chain};
use plasma_proto::{
    cosmos::{
        bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output},
        base::v1beta1::Coin,
    },
    plasma::staking::v1::Validator,
};
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::Programs,
};

const CHAIN_ID: &str = "plasma-bench";
/// Transfers of a block, and blocks of a run.
const TRANSFERS: usize = 2_000;
const BLOCKS: usize = 10;
/// Who sends: each once per block.
const SENDERS: usize = TRANSFERS;
/// Accounts that exist before the commits by size.
const HOLDERS: usize = 100_000;
/// Outputs of one multi-send.
const OUTPUTS: usize = 256;
const XPL: u128 = 1_000_000;

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    transfers(dir.path())?;
    commits(dir.path())?;
    at_rest(dir.path())
}

fn wallet(index: usize) -> Result<Wallet> {
    let mut secret = [1; 32];
    secret[..8].copy_from_slice(&(index as u64 + 1).to_be_bytes());
    Wallet::from_secret(&secret).context("a small number is a key")
}

fn holder(index: usize) -> Address {
    Address::of_module(&format!("holder {index}"))
}

fn coin(units: u128) -> Coin {
    Coin { denom: "uxpl".into(), amount: units.to_string() }
}

fn open(dir: &Path, name: &str, accounts: &[(Address, Amount)]) -> Result<Node> {
    let node = Node::open(&dir.join(name), Keep::default())?;
    let validator = Validator {
        operator: holder(0).text(),
        consensus_pubkey: vec![7; 32],
        moniker: "bench".into(),
        tokens_uxpl: (1_000 * XPL).to_string(),
    };
    let genesis = chain::new_genesis(accounts, vec![validator])
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    node.init_chain(CHAIN_ID, 1_700_000_000, 1, &genesis)?;
    block(&node, 1, &[])?;
    Ok(node)
}

/// Executes and commits a block: (time in FinalizeBlock, time in Commit).
fn block(node: &Node, height: u64, txs: &[Vec<u8>]) -> Result<(Duration, Duration)> {
    let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
    let start = Instant::now();
    let decided = Decided {
        height,
        time_s: 1_700_000_000 + height,
        proposer: [0; 20],
        txs: &txs,
        votes: &[],
        misbehavior: &[],
    };
    let executed = node.finalize(decided)?;
    let finalized = start.elapsed();
    if let Some(result) = executed.txs.iter().find(|result| result.code != 0) {
        anyhow::bail!("a transaction of the bench was refused: {}", result.log);
    }
    let start = Instant::now();
    node.commit()?;
    Ok((finalized, start.elapsed()))
}

fn transfers(dir: &Path) -> Result<()> {
    println!(
        "transfers through FinalizeBlock + Commit, in process, {BLOCKS} blocks of {TRANSFERS}"
    );
    let wallets = (0..SENDERS).map(wallet).collect::<Result<Vec<_>>>()?;
    let accounts: Vec<_> =
        wallets.iter().map(|wallet| (wallet.address(), Amount::new(1_000 * XPL))).collect();
    for (name, remembered) in
        [("signatures checked in the block", false), ("signatures checked before (CheckTx)", true)]
    {
        let node = open(dir, if remembered { "warm" } else { "cold" }, &accounts)?;
        let mut numbers = Vec::new();
        let reader = node.reader();
        for wallet in &wallets {
            let account = plasma_modules::auth::account(&reader, wallet.address());
            numbers.push(account.context("a genesis account")?.account_number);
        }
        drop(reader);
        let mut spent = (Duration::ZERO, Duration::ZERO);
        let mut check = Duration::ZERO;
        for round in 0..BLOCKS {
            let txs: Vec<Vec<u8>> = wallets
                .iter()
                .zip(&numbers)
                .enumerate()
                .map(|(index, (wallet, number))| {
                    let msg = MsgSend {
                        from_address: wallet.address().text(),
                        to_address: wallets[(index + 1) % SENDERS].address().text(),
                        amount: vec![coin(1)],
                    };
                    client::sign_tx(
                        CHAIN_ID,
                        wallet,
                        vec![any(&msg)],
                        *number,
                        round as u64,
                        100_000,
                        2_500,
                        "",
                    )
                })
                .collect();
            if remembered {
                let start = Instant::now();
                for tx in &txs {
                    let result = node.check_tx(tx, false)?;
                    ensure!(result.code == 0, "CheckTx refused: {}", result.log);
                }
                check += start.elapsed();
            }
            let (finalize, commit) = block(&node, round as u64 + 2, &txs)?;
            spent.0 += finalize;
            spent.1 += commit;
        }
        let count = (TRANSFERS * BLOCKS) as f64;
        let total = (spent.0 + spent.1).as_secs_f64();
        println!(
            "  {name:<38} {:>8.0} /s   {:>6.1} us each: FinalizeBlock {:.1}, Commit {:.1}; CheckTx {:.1}",
            count / total,
            total / count * 1e6,
            spent.0.as_secs_f64() / count * 1e6,
            spent.1.as_secs_f64() / count * 1e6,
            check.as_secs_f64() / count * 1e6,
        );
    }
    Ok(())
}

fn commits(dir: &Path) -> Result<()> {
    println!("a block by changed keys, {HOLDERS} accounts in the state");
    let payer = wallet(0)?;
    let mut accounts: Vec<_> = (0..HOLDERS).map(|index| (holder(index), Amount::new(1))).collect();
    accounts.push((payer.address(), Amount::new(1_000_000 * XPL)));
    let node = open(dir, "sizes", &accounts)?;
    let number = plasma_modules::auth::account(&node.reader(), payer.address())
        .context("a genesis account")?
        .account_number;
    let mut sequence = 0;
    for (height, keys) in [(2, 1_000), (3, 10_000), (4, 99_000)] {
        let txs: Vec<Vec<u8>> = (0..keys / OUTPUTS)
            .map(|part| {
                let outputs = (0..OUTPUTS)
                    .map(|at| Output {
                        address: holder(part * OUTPUTS + at).text(),
                        coins: vec![coin(1)],
                    })
                    .collect();
                let input =
                    Input { address: payer.address().text(), coins: vec![coin(OUTPUTS as u128)] };
                let msg = MsgMultiSend { inputs: vec![input], outputs };
                let gas = 5_500_000;
                let tx = client::sign_tx(
                    CHAIN_ID,
                    &payer,
                    vec![any(&msg)],
                    number,
                    sequence,
                    gas,
                    50_000,
                    "",
                );
                sequence += 1;
                tx
            })
            .collect();
        let (finalize, commit) = block(&node, height, &txs)?;
        println!(
            "  {:>7} keys   FinalizeBlock {:>8.1} ms   Commit {:>8.1} ms   {:>6.1} us per key",
            keys / OUTPUTS * OUTPUTS,
            finalize.as_secs_f64() * 1e3,
            commit.as_secs_f64() * 1e3,
            (finalize + commit).as_secs_f64() * 1e6 / keys as f64,
        );
    }
    Ok(())
}

/// Resident memory of a real plasmad behind a real CometBFT, some blocks after its start.
fn at_rest(dir: &Path) -> Result<()> {
    let programs = Programs::find()?;
    let spec = NetworkSpec {
        home: dir.join("rest"),
        chain_id: CHAIN_ID.into(),
        validators: 1,
        accounts: vec![GenesisAccount { address: wallet(0)?.address().text(), amount_uxpl: XPL }],
        port_base: 29_600,
        timeout_commit: "200ms".into(),
        set: Vec::new(),
    };
    let started = SystemTime::now();
    let mut network = Network::up(&spec, &programs)?;
    network.wait_for_block(20)?;
    let id = network.validators[0].plasmad_id().context("plasmad runs")?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: f64 = rss.trim().trim_end_matches(" kB").parse()?;
    println!(
        "plasmad at rest, 20 blocks after {:.1} s: {:.1} MB resident",
        started.elapsed()?.as_secs_f64(),
        kib / 1_024.0
    );
    Ok(())
}
