//! The table.

use std::time::Instant;

use anyhow::{Context, Result};
use plasma_testnet::load::{Latencies, Seen, Sent, Usage};

use super::Cli;

/// Figures of one run; absent ones do not belong to its mode.
pub struct Figures {
    name: String,
    rows: Vec<(&'static str, String)>,
}

/// What stands in the column of a run for which something is missing.
const ABSENT: &str = "no go";
/// Rows of the table.
const ROWS: [&str; 20] = [
    "included tx/s",
    "block interval, ms",
    "txs per block, mean",
    "txs per block, most",
    "latency p50, ms",
    "latency p95, ms",
    "latency p99, ms",
    "latencies measured",
    "CPU us/tx, plasmad",
    "CPU us/tx, cometbft",
    "CPU us/tx, sdk",
    "CPU us/tx, chain",
    "CPU us/tx, loader",
    "RSS MB, plasmad",
    "RSS MB, cometbft",
    "RSS MB, sdk",
    "taken / included",
    "turned away, full",
    "requests lost",
    "refused / ran dry",
];

impl Figures {
    /// Of a run of one transfer at a time.
    pub fn idle(name: &str, latencies: Latencies) -> Self {
        Self { name: name.into(), rows: latency_rows(&latencies) }
    }

    /// Of a run of the SDK's chain where there is no Go to build it.
    pub fn absent(name: &str) -> Self {
        eprintln!("{name}: not measured here: no go");
        Self { name: name.into(), rows: vec![(ROWS[0], ABSENT.into())] }
    }

    /// Of a run under load; `window` is when it was measured.
    pub fn loaded(
        name: &str,
        sent: &Sent,
        seen: &[Seen],
        window: (Instant, Instant),
        usage: Vec<Usage>,
        latencies: Latencies,
    ) -> Result<Self> {
        let within: Vec<&Seen> =
            seen.iter().filter(|seen| seen.at >= window.0 && seen.at <= window.1).collect();
        let (first, last) = within.first().zip(within.last()).context("no blocks were seen")?;
        let spent = last.at.duration_since(first.at).as_secs_f64();
        let blocks = (within.len() - 1) as f64;
        let txs: u64 = within.iter().skip(1).map(|seen| seen.txs).sum();
        let most = within.iter().map(|seen| seen.txs).max().unwrap_or_default();
        let included: u64 = seen.iter().map(|seen| seen.txs).sum();
        let mut rows = latency_rows(&latencies);
        // CPU is counted over the whole window, so the transfers are scaled to it.
        let counted = txs as f64 / spent * window.1.duration_since(window.0).as_secs_f64();
        let mut chain = 0.0;
        for Usage { name, cpu, resident_mb } in usage {
            let each = cpu.as_secs_f64() * 1e6 / counted;
            let (cpu_row, rss_row) = match name {
                "plasmad" => ("CPU us/tx, plasmad", Some("RSS MB, plasmad")),
                "cometbft" => ("CPU us/tx, cometbft", Some("RSS MB, cometbft")),
                "sdk" => ("CPU us/tx, sdk", Some("RSS MB, sdk")),
                _ => ("CPU us/tx, loader", None),
            };
            if name != "loader" {
                chain += each;
            }
            rows.push((cpu_row, format!("{each:.1}")));
            rows.extend(rss_row.map(|row| (row, format!("{resident_mb:.0}"))));
        }
        rows.extend([
            ("CPU us/tx, chain", format!("{chain:.1}")),
            ("included tx/s", format!("{:.0}", txs as f64 / spent)),
            ("block interval, ms", format!("{:.0}", spent * 1e3 / blocks)),
            ("txs per block, mean", format!("{:.0}", txs as f64 / blocks)),
            ("txs per block, most", most.to_string()),
            ("taken / included", format!("{} / {included}", sent.taken)),
            ("turned away, full", sent.full.to_string()),
            ("requests lost", sent.lost.to_string()),
            ("refused / ran dry", format!("{} / {}", sent.refused, sent.dry)),
        ]);
        if let Some(reason) = &sent.reason {
            eprintln!("{name}: a transfer was refused: {reason}");
        }
        Ok(Self { name: name.into(), rows })
    }

    fn row(&self, name: &str) -> &str {
        self.rows.iter().find(|(row, _)| *row == name).map_or("", |(_, value)| value)
    }
}

fn latency_rows(latencies: &Latencies) -> Vec<(&'static str, String)> {
    let names = [(50, "latency p50, ms"), (95, "latency p95, ms"), (99, "latency p99, ms")];
    let mut rows: Vec<_> = names
        .into_iter()
        .filter_map(|(percent, name)| {
            Some((name, format!("{:.0}", latencies.percentile_ms(percent)?)))
        })
        .collect();
    rows.push(("latencies measured", latencies.count().to_string()));
    rows
}

/// One table of all runs, a column each.
pub fn print(cli: &Cli, all: &[Figures]) {
    let Cli { validators, accounts, seconds, timeout_commit, connections, batch, .. } = cli;
    println!(
        "{validators} validator(s), {accounts} accounts, {seconds} s, timeout_commit {timeout_commit}, \
         {connections} connections, batches of {batch}"
    );
    print!("{:<20}", "");
    for figures in all {
        print!(" {:>16}", figures.name);
    }
    println!();
    for row in ROWS {
        print!("{row:<20}");
        for figures in all {
            print!(" {:>16}", figures.row(row));
        }
        println!();
    }
}
