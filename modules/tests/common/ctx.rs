//! Work on a state outside of a transaction.

use plasma_modules::{Block, Ctx, Events, FeePaid, Memory, Overlay, Recorded};

/// Does `work` in an overlay of `store`, and keeps what it wrote unless it is refused. With its answer
/// comes what happened.
pub fn within<T, E>(
    store: &mut Memory,
    block: &Block,
    mut fee: FeePaid,
    work: impl FnOnce(&mut Ctx<'_>) -> Result<T, E>,
) -> Result<(T, Vec<Recorded>), E> {
    let mut above = Overlay::new(store);
    let mut events = Events::default();
    let done = work(&mut Ctx { store: &mut above, block, events: &mut events, fee: &mut fee })?;
    let writes = above.into_writes();
    store.apply(writes);
    Ok((done, events.into_recorded()))
}
