//! What a handler may see and touch.

use alloc::{string::String, vec::Vec};
use core::ops::{Deref, DerefMut};

use crate::{Address, Amount, Overlay, Read, Write};

/// The block being executed, as consensus agreed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The chain, as its genesis names it.
    pub chain_id: String,
    /// Its height.
    pub height: u64,
    /// Its time, in seconds, from the header; never the machine's clock.
    pub time_s: u64,
    /// Randomness that nobody knew before the block was proposed ([`crate::attestation::beacon`]).
    pub beacon: [u8; 32],
}

/// A fact for the outside world.
pub trait Event {
    /// Its name.
    fn kind(&self) -> &'static str;
    /// Its fields, in a fixed order. No key is empty.
    fn attributes(&self) -> Vec<(&'static str, String)>;
}

/// One recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its name.
    pub kind: &'static str,
    /// Its fields, in a fixed order.
    pub attributes: Vec<(&'static str, String)>,
}

/// What happened, in order; or, where nobody will ask, nothing: then no event is put into words.
#[derive(Clone, Debug, Default)]
pub struct Events {
    recorded: Vec<Recorded>,
    silent: bool,
}

impl Events {
    /// Records nothing.
    pub fn silent() -> Self {
        Self { recorded: Vec::new(), silent: true }
    }

    /// None yet, and recording if these are.
    pub fn alike(&self) -> Self {
        Self { recorded: Vec::new(), silent: self.silent }
    }

    /// What was recorded.
    pub fn into_recorded(self) -> Vec<Recorded> {
        self.recorded
    }
}

impl Deref for Events {
    type Target = Vec<Recorded>;

    fn deref(&self) -> &Vec<Recorded> {
        &self.recorded
    }
}

impl DerefMut for Events {
    fn deref_mut(&mut self) -> &mut Vec<Recorded> {
        &mut self.recorded
    }
}

/// What the message under way costs its carrier, as far as a duty message may still get it back:
/// its part of what the transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeePaid {
    /// Who paid.
    pub payer: Address,
    /// What has not been given back yet, uxpl.
    pub left: Amount,
}

/// Deals what may be given back of a fee out to messages, by their gas: each gets its own part and
/// no other's. The parts never sum to more than the whole.
#[derive(Clone, Copy, Debug)]
pub struct FeeParts {
    whole: Amount,
    gas: u64,
    passed: u64,
    dealt: Amount,
}

impl FeeParts {
    /// Of `whole`, for messages that cost `gas` together.
    pub fn new(whole: Amount, gas: u64) -> Self {
        Self { whole, gas, passed: 0, dealt: Amount::ZERO }
    }

    /// The part of the next message, which costs `gas`.
    pub fn next(&mut self, gas: u64) -> Amount {
        self.passed = self.passed.saturating_add(gas).min(self.gas);
        let product = self.whole.units().saturating_mul(self.passed.into());
        let upto = Amount::new(product.checked_div(self.gas.into()).unwrap_or_default());
        let part = upto.minus(self.dealt).unwrap_or_default();
        self.dealt = upto;
        part
    }
}

/// Read and write access for one message, or for the start or end of a block.
pub struct Ctx<'a> {
    /// State.
    pub store: &'a mut dyn Write,
    /// Agreed facts about now.
    pub block: &'a Block,
    /// What happened, in order.
    pub events: &'a mut Events,
    /// The fee of the transaction under way; nothing at the start and end of a block.
    pub fee: &'a mut FeePaid,
}

impl Ctx<'_> {
    /// Records an event.
    pub fn emit(&mut self, event: &dyn Event) {
        if !self.events.silent {
            self.events.push(Recorded { kind: event.kind(), attributes: event.attributes() });
        }
    }

    /// Does `work` in an overlay of its own, so that what fails leaves nothing behind.
    pub fn apart<T, E>(&mut self, work: impl FnOnce(&mut Ctx<'_>) -> Result<T, E>) -> Result<T, E> {
        let (mut events, mut fee) = (self.events.alike(), *self.fee);
        let mut above = Overlay::new(&*self.store);
        let done = work(&mut Ctx {
            store: &mut above,
            block: self.block,
            events: &mut events,
            fee: &mut fee,
        })?;
        for (key, value) in above.into_writes() {
            self.store.set(key, value);
        }
        self.events.append(&mut events);
        *self.fee = fee;
        Ok(done)
    }
}

/// Read access for one query.
pub struct View<'a> {
    /// State at one height.
    pub store: &'a dyn Read,
    /// That block.
    pub block: &'a Block,
}
