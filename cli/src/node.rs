//! The node and its blocks.

use plasma_modules::tx;
use plasma_proto::plasma::market::v1::{QueryTotalsRequest, QueryTotalsResponse};
use prost_types::Timestamp;
use serde_json::json;

use crate::App;
use crate::amount::{thousands, xpl_text};
use crate::error::{Failure, Result};
use crate::output::{Table, Tone, proto_json};

/// Runs `xpl block`.
///
/// # Errors
/// If the node does not have it.
pub async fn block(app: &App, height: Option<u64>) -> Result<()> {
    let client = app.client().await?;
    if let Some(height) = height {
        let last = client.status().await?.height;
        if height > last || height == 0 {
            let message = format!(
                "there is no block {} yet: the chain is at {}",
                thousands(height.into()),
                thousands(last.into())
            );
            return Err(Failure::refused("sdk", 22, message));
        }
    }
    let block = client.block(height).await?;
    let proven =
        block.txs.first().is_some_and(|first| first.first() == Some(&tx::INJECTED_TX_PREFIX));
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
    match proven {
        true => table.field_toned("beacon", "proven by the proposer", Tone::Good),
        false => table.field("beacon", "by hash alone: the proposer has no key"),
    }
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
        "beacon_proven": proven,
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
    table.field(
        "node",
        format!("{} ({}, CometBFT {})", client.url(), status.moniker, status.version),
    );
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

/// Unix seconds of a time; 0 of none.
pub fn seconds(time: Option<&Timestamp>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.seconds).unwrap_or_default())
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
    let (date, month) = (
        of_year - (153 * shifted + 2) / 5 + 1,
        if shifted < 10 { shifted + 3 } else { shifted - 9 },
    );
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
    }
}
