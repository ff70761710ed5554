//! Final payments, handed on to who counts them.
//!
//! A payment stands in line from when it is final until [`take_settled`] hands it out, once. The
//! market does not know who counts what.

use alloc::vec::Vec;

use plasma_proto::plasma::market::v1::{Job, Settled};

use super::{price::Shares, state::SETTLED};
use crate::{Order, Read, Table, Write, prefix_end};

/// Most payments that one block hands on; the rest stays first in line.
pub const SETTLED_PER_BLOCK_MAX: usize = 2_048;

/// Puts a payment at the end of the line.
pub(super) fn push(store: &mut dyn Write, job: &Job, shares: &Shares) {
    let settled = Settled {
        model_id: job.model_id.clone(),
        provider: job.provider.clone(),
        payer: job.requester.clone(),
        charge_uxpl: job.charge_uxpl.clone(),
        provider_uxpl: shares.provider.text(),
        burn_uxpl: shares.burn.text(),
        n_fresh: job.n_fresh.into(),
        n_cached: job.n_cached.into(),
        n_out: job.n_out.into(),
        slot: job.slot,
    };
    append(store, &settled);
}

/// The last of the line, then one more.
pub(super) fn append(store: &mut dyn Write, settled: &Settled) {
    let next = last(store).map_or(1, |last| last.saturating_add(1));
    SETTLED.set(store, &next, settled);
}

fn last(store: &dyn Read) -> Option<u64> {
    let prefix = [Table::MarketSettled.id()];
    let (key, _) =
        store.range(&prefix, prefix_end(&prefix).as_deref(), Order::Descending).next()?;
    key.last_chunk().map(|number| u64::from_be_bytes(*number))
}

/// Takes the first payments out of the line, in order; at most [`SETTLED_PER_BLOCK_MAX`].
pub fn take_settled(store: &mut dyn Write) -> Vec<Settled> {
    let taken: Vec<_> = SETTLED.iter(store).take(SETTLED_PER_BLOCK_MAX).collect();
    for (number, _) in &taken {
        SETTLED.remove(store, number);
    }
    taken.into_iter().map(|(_, settled)| settled).collect()
}
