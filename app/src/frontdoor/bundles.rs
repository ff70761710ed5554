//! Held transactions go to CometBFT's mempool, one carrier after the other: two at once could pass
//! each other, and with them an account's sequences.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{Frontdoor, proxy};
use crate::node::Carrier;

/// A carrier that is full, bytes. Below what a mempool takes, so that a message with it stays small.
pub const CARRIER_BYTES: usize = 120_000;
/// How long the first transaction waits for others.
const GATHER: Duration = Duration::from_millis(4);
/// How often it is looked whether a carrier is full before that.
const GATHER_STEP: Duration = Duration::from_millis(1);
/// Pause before a carrier that the mempool had no room for is sent again.
const FULL_PAUSE: Duration = Duration::from_millis(50);
/// Pause before a CometBFT that does not answer is tried again.
const DOWN_PAUSE: Duration = Duration::from_millis(500);

/// Sends as long as it is polled.
pub(super) async fn send(door: Arc<Frontdoor>) {
    loop {
        door.held.notified().await;
        loop {
            let mut gathered = Duration::ZERO;
            while gathered < GATHER && door.node.held_bytes() < CARRIER_BYTES {
                tokio::time::sleep(GATHER_STEP).await;
                gathered += GATHER_STEP;
            }
            let Some(carrier) = door.node.next_carrier(CARRIER_BYTES) else { break };
            deliver(&door, &carrier).await;
            door.node.let_go(&carrier);
        }
    }
}

/// Until the mempool has the carrier or refuses it.
async fn deliver(door: &Frontdoor, carrier: &Carrier) {
    let mut told = false;
    loop {
        let pause = match proxy::broadcast(door, &carrier.bytes).await {
            Ok(Value::Object(answer)) => {
                let error = answer.get("error").map(|error| error["data"].to_string());
                match (&error, answer.get("result").map(|result| &result["code"])) {
                    (None, Some(code)) if *code == 0 => return,
                    (Some(error), _) if error.contains("already exists") => return,
                    (Some(error), _) if error.contains("full") => FULL_PAUSE,
                    _ => {
                        // Its transactions came another way, or a block made them impossible.
                        let answer = Value::Object(answer);
                        tracing::debug!(%answer, txs = carrier.len(), "a carrier was refused");
                        return;
                    }
                }
            }
            Ok(_) => DOWN_PAUSE,
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "front door: cometbft does not take transactions");
                    told = true;
                }
                DOWN_PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}
