//! Which block of a chain is trusted, and `xpl light`.
//!
//! What is remembered is a height and a hash, no more: blocks come from the node each time and are
//! held against it.

pub mod chain;
#[cfg(test)]
mod tests;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gpu_node::client::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tendermint::{Hash, Time};

use crate::App;
use crate::amount::thousands;
use crate::config::{read_toml, write_toml};
use crate::error::{Failure, Result};
use crate::node::utc;
use crate::output::{Table, Tone};
use chain::{LightBlock, Signed, Source};

/// A newest block that is older than this is said to be, seconds.
const OLD_S: i64 = 300;

/// `xpl light`.
#[derive(Debug, Subcommand)]
pub enum LightCommand {
    /// Trust a block of this chain, whose hash comes from people whom you trust, not from this node
    Init {
        /// Its height
        #[arg(long)]
        height: u64,
        /// Its hash, 64 hexadecimal digits
        #[arg(long)]
        hash: Hash,
    },
    /// What is trusted and what was verified last
    Status,
}

/// How a result is proven.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Proof")]
pub struct ProveArgs {
    /// Check the answer against the chain's headers instead of trusting the node
    #[arg(long)]
    pub prove: bool,
    /// Trust this block of the chain [default: the one of `xpl light`]
    #[arg(long, value_name = "HEIGHT", requires_all = ["trust_hash", "prove"])]
    trust_height: Option<u64>,
    /// Its hash
    #[arg(long, value_name = "HASH", requires_all = ["trust_height", "prove"])]
    trust_hash: Option<Hash>,
}

/// A block that is known by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its height.
    pub height: u64,
    /// Its hash, hexadecimal.
    pub hash: Hash,
    /// Its time, RFC 3339.
    pub time: Time,
}

impl Known {
    fn of(block: &LightBlock) -> Self {
        let header = block.header();
        Self { height: block.height(), hash: header.hash(), time: header.time }
    }
}

/// Where trust in a chain comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trust {
    /// The first block that was trusted.
    pub root: Known,
    /// Whether a node's word was taken for it.
    pub first_use: bool,
    /// The newest block that was verified from it.
    pub latest: Known,
}

/// What `<home>/light.toml` holds: chain id to trust.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    #[serde(default)]
    chains: BTreeMap<String, Trust>,
}

fn path(home: &Path) -> PathBuf {
    home.join("light.toml")
}

fn remember(home: &Path, chain_id: &str, trust: Trust) -> Result<()> {
    let mut book: Book = read_toml(&path(home))?;
    book.chains.insert(chain_id.to_owned(), trust);
    write_toml(&path(home), &book)
}

/// A block that this program has verified.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The block.
    pub block: LightBlock,
    /// Who signed it.
    pub signed: Signed,
    /// From where.
    pub trust: Trust,
}

impl Verified {
    /// For people.
    pub fn line(&self) -> String {
        let Signed { validators, of_validators, power, of_power } = self.signed;
        let known = Known::of(&self.block);
        let share = u128::from(power) * 10_000 / u128::from(of_power).max(1);
        format!(
            "by block {} {} ({}), signed by {validators} of {of_validators} validators with {}.{:02}% of the power",
            thousands(known.height.into()),
            chain::hash_text(known.hash),
            time_text(known.time),
            share / 100,
            share % 100,
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let Signed { validators, of_validators, power, of_power } = self.signed;
        let known = Known::of(&self.block);
        let header = self.block.header();
        json!({
            "chain_id": header.chain_id.as_str(),
            "state_height": known.height.saturating_sub(1),
            "header_height": known.height,
            "header_hash": chain::hash_text(known.hash),
            "header_time": time_text(known.time),
            "app_hash": header.app_hash.to_string(),
            "signed_validators": validators,
            "validators": of_validators,
            "signed_power": power,
            "power": of_power,
            "root_height": self.trust.root.height,
            "root_hash": chain::hash_text(self.trust.root.hash),
            "trusted_on_first_use": self.trust.first_use,
        })
    }
}

fn time_text(time: Time) -> String {
    utc(u64::try_from(time.unix_timestamp()).unwrap_or(0))
}

/// The block at `height`, held against the hash that is trusted.
async fn root(client: &Client, height: u64, hash: Hash, now: Time) -> Result<LightBlock> {
    let block = client.light_block(height).await?;
    let found = block.header().hash();
    if found != hash {
        return Err(Failure::unproven(format!(
            "the node's block {height} has the hash {}, not {}",
            chain::hash_text(found),
            chain::hash_text(hash)
        ))
        .hint(
            "node and trusted block are of two different chains or histories; one of them is false",
        ));
    }
    chain::check_alone(&block)?;
    if !chain::fresh(block.header().time, now) {
        return Err(chain::expired());
    }
    Ok(block)
}

/// Verifies the newest block that the node has, and remembers it.
///
/// # Errors
/// If a header does not hold (exit code 5), or the node does not answer.
pub async fn newest(app: &App, client: &Client, args: &ProveArgs) -> Result<Verified> {
    let now = Time::now();
    let spinner = app.out.spinner("verifying the newest header");
    let chain_id = client.chain_id();
    let height = client.status().await?.height;
    if height < 2 {
        return Err(Failure::timeout("nothing can be proven before the second block")
            .hint("try again in a moment"));
    }
    let target = client.light_block(height).await?;
    let book: Book = read_toml(&path(&app.home))?;
    let kept = book.chains.get(chain_id);
    let given = args.trust_height.zip(args.trust_hash);
    let (trust, from) = match (given, kept) {
        (Some((height, hash)), _) => {
            let block = root(client, height, hash, now).await?;
            let known = Known::of(&block);
            (Trust { root: known.clone(), first_use: false, latest: known }, block)
        }
        (None, Some(trust)) => {
            // The time is known without the node: what is too old needs no question.
            if !chain::fresh(trust.latest.time, now) {
                return Err(chain::expired());
            }
            let block = root(client, trust.latest.height, trust.latest.hash, now).await?;
            (trust.clone(), block)
        }
        (None, None) => {
            chain::check_alone(&target)?;
            let known = Known::of(&target);
            spinner.aside(|| {
                app.out.warn(&format!(
                    "no block of {chain_id} is trusted yet, so this node's word is taken for block {} {}: compare this hash with people whom you trust, or say theirs by  xpl light init",
                    known.height,
                    chain::hash_text(known.hash)
                ));
            });
            (Trust { root: known.clone(), first_use: true, latest: known }, target.clone())
        }
    };
    if target.header().chain_id != from.header().chain_id {
        return Err(Failure::unproven("the node's blocks are of two chains"));
    }
    match target.height().cmp(&from.height()) {
        std::cmp::Ordering::Greater => drop(chain::forward(client, &from, &target, now).await?),
        std::cmp::Ordering::Less => drop(chain::backward(client, &from, &target).await?),
        std::cmp::Ordering::Equal => {
            if target.header().hash() != from.header().hash() {
                return Err(Failure::unproven(format!("the node tells two blocks {height}")));
            }
            chain::check_alone(&target)?;
        }
    }
    let signed = chain::signers(&target)?;
    drop(spinner);
    let behind = now.unix_timestamp() - target.header().time.unix_timestamp();
    if behind > OLD_S {
        app.out.warn(&format!(
            "the node's newest block is {behind} s old: the chain stands still, or the node does not tell what came since"
        ));
    }
    let mut trust = trust;
    if target.height() > trust.latest.height {
        trust.latest = Known::of(&target);
    }
    // A root that was given for this call replaces none that is kept.
    if given.is_none() || kept.is_none() {
        remember(&app.home, chain_id, trust.clone())?;
    }
    Ok(Verified { block: target, signed, trust })
}

/// Runs `xpl light`.
///
/// # Errors
/// If the node's block is another, or nothing is trusted.
pub async fn run(app: &App, command: LightCommand) -> Result<()> {
    match command {
        LightCommand::Init { height, hash } => {
            let client = app.client().await?;
            let block = root(&client, height, hash, Time::now()).await?;
            let known = Known::of(&block);
            let trust = Trust { root: known.clone(), first_use: false, latest: known };
            remember(&app.home, client.chain_id(), trust)?;
            app.out.done(
                &format!("block {height} of {} is trusted from now on", client.chain_id()),
                &json!({ "chain_id": client.chain_id(), "height": height, "hash": chain::hash_text(hash) }),
            );
        }
        LightCommand::Status => {
            let book: Book = read_toml(&path(&app.home))?;
            let now = Time::now();
            let mut table = Table::new(["CHAIN", "ROOT", "FROM", "VERIFIED", "TIME", "STATE"]);
            for (chain_id, trust) in &book.chains {
                let fresh = chain::fresh(trust.latest.time, now);
                let (word, tone) =
                    if fresh { ("good", Tone::Good) } else { ("too old", Tone::Bad) };
                table.toned([
                    (chain_id.clone(), Tone::Strong),
                    (format!("block {}", trust.root.height), Tone::Plain),
                    (if trust.first_use { "a node's word" } else { "you" }.into(), Tone::Plain),
                    (format!("block {}", trust.latest.height), Tone::Plain),
                    (time_text(trust.latest.time), Tone::Dim),
                    (word.to_owned(), tone),
                ]);
            }
            let json: BTreeMap<_, _> = book
                .chains
                .iter()
                .map(|(chain_id, trust)| {
                    let known = |known: &Known| {
                        json!({
                            "height": known.height,
                            "hash": chain::hash_text(known.hash),
                            "time": time_text(known.time),
                        })
                    };
                    let trust = json!({
                        "root": known(&trust.root),
                        "trusted_on_first_use": trust.first_use,
                        "latest": known(&trust.latest),
                        "fresh": chain::fresh(trust.latest.time, now),
                    });
                    (chain_id, trust)
                })
                .collect();
            app.out.table(&table, "no chain is trusted yet: xpl light init --help", &json);
        }
    }
    Ok(())
}
