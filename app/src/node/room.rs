//! Who may wait for a block, and in which order what waits goes into one.
//!
//! What a transaction pays is counted in eighths of what it must pay now: its price. Blocks are made
//! of the best prices first. A transaction waits behind those that pay no less, and every full block
//! raises the base price by an eighth; so it may wait only if it could still pay when its turn comes.
//! Where there is no room left, what pays least gives way to what pays an eighth more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plasma_modules::{Address, Read, ante, chain, token, tx::Decoded};

/// Parts in which prices are counted; 8 of them are what must be paid.
const EIGHTHS: u128 = 8;
/// The least price that a block takes.
pub(crate) const PRICE_MIN: u16 = 8;
/// Above a thousand times what must be paid, all prices are alike.
const PRICE_MAX: u16 = 8_000;

/// What a block costs and holds now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    base_nuxpl: u64,
    byte_price_nuxpl: u64,
    bytes_max: u64,
    gas_max: u64,
}

impl Terms {
    /// Those of the next block on top of `store`.
    pub fn read(store: &dyn Read) -> Self {
        let params = token::params(store);
        Self {
            base_nuxpl: token::fee_market(store).base_fee_nuxpl_per_gas,
            byte_price_nuxpl: params.byte_price_nuxpl,
            bytes_max: params.block_bytes_max,
            gas_max: params.block_gas_max,
        }
    }

    /// The least fee, uxpl, after so many full blocks.
    fn required(&self, bid: &Bid, blocks: u64) -> u128 {
        let mut base = self.base_nuxpl;
        for _ in 0..blocks {
            let next = base.saturating_add(base / 8);
            if next == base {
                break;
            }
            base = next;
        }
        ante::required_fee(bid.gas, bid.size, base, self.byte_price_nuxpl)
    }

    fn price(&self, bid: &Bid) -> u16 {
        let eighths = bid.fee.saturating_mul(EIGHTHS) / self.required(bid, 0).max(1);
        u16::try_from(eighths).unwrap_or(PRICE_MAX).min(PRICE_MAX)
    }

    fn blocks(&self, room: Room) -> u64 {
        (room.bytes / self.bytes_max.max(1)).max(room.gas / self.gas_max.max(1))
    }
}

/// What a transaction offers for its room in a block.
#[derive(Clone, Debug)]
pub(crate) struct Bid {
    pub fee: u128,
    pub gas: u64,
    size: usize,
    /// Accounts in whose sequences it has a place.
    signers: Vec<Address>,
}

impl Bid {
    /// What `tx` offers.
    pub fn of(tx: &Decoded) -> Self {
        let ordered = tx.signers.iter().filter(|_| !tx.unordered);
        let signers = ordered.map(|signer| signer.address).collect();
        Self { fee: tx.fee.units(), gas: tx.gas_limit, size: tx.size, signers }
    }

    /// What it takes.
    pub fn room(&self) -> Room {
        Room { bytes: chain::framed(self.size) as u64, gas: self.gas }
    }
}

/// Room in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub bytes: u64,
    pub gas: u64,
}

impl Room {
    pub fn plus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_add(other.bytes);
        Self { bytes, gas: self.gas.saturating_add(other.gas) }
    }

    fn minus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_sub(other.bytes);
        Self { bytes, gas: self.gas.saturating_sub(other.gas) }
    }
}

#[derive(Default)]
struct Level {
    numbers: BTreeSet<u64>,
    /// Those of them that came in no carrier.
    alone: BTreeSet<u64>,
    room: Room,
}

/// What waits, by price and then by when it came.
#[derive(Default)]
pub(crate) struct Ranks {
    terms: Terms,
    levels: BTreeMap<u16, Level>,
    /// The price of what each account sent last.
    last: HashMap<Address, u16>,
}

impl Ranks {
    /// Nobody waits yet for a block of these terms.
    pub fn new(terms: Terms) -> Self {
        Self { terms, ..Self::default() }
    }

    /// The price of what would come now: no more than that of what it has to wait for.
    pub fn price(&self, bid: &Bid) -> u16 {
        let before = bid.signers.iter().filter_map(|signer| self.last.get(signer));
        before.fold(self.terms.price(bid), |price, last| price.min(*last))
    }

    /// The least fee with which a transaction may wait at that price, behind those that pay no less;
    /// `Err` if its own is below that.
    pub fn outlasts(&self, bid: &Bid, price: u16) -> Result<(), u128> {
        let ahead = self
            .levels
            .range(price..)
            .fold(Room::default(), |room, (_, level)| room.plus(level.room));
        let required = self.terms.required(bid, self.terms.blocks(ahead));
        if bid.fee < required { Err(required) } else { Ok(()) }
    }

    /// Takes `number` in; `alone` says that it came in no carrier.
    pub fn add(&mut self, number: u64, price: u16, bid: &Bid, alone: bool) {
        let level = self.levels.entry(price).or_default();
        level.numbers.insert(number);
        if alone {
            level.alone.insert(number);
        }
        level.room = level.room.plus(bid.room());
        for signer in &bid.signers {
            self.last.insert(*signer, price);
        }
    }

    /// Lets `number` go, which came with that price.
    pub fn remove(&mut self, number: u64, price: u16, bid: &Bid) {
        let Some(level) = self.levels.get_mut(&price) else { return };
        level.alone.remove(&number);
        if level.numbers.remove(&number) {
            level.room = level.room.minus(bid.room());
        }
        if level.numbers.is_empty() {
            self.levels.remove(&price);
        }
    }

    /// Those that pay less than `price`, in the order in which they give way: the least price first,
    /// of these the newest. What stands on another, in its account's sequence, goes before it.
    pub fn below(&self, price: u16) -> impl Iterator<Item = u64> {
        self.levels.range(..price).flat_map(|(_, level)| level.numbers.iter().rev().copied())
    }

    /// Of these, those that came in no carrier.
    pub fn alone_below(&self, price: u16) -> impl Iterator<Item = u64> {
        self.levels.range(..price).flat_map(|(_, level)| level.alone.iter().rev().copied())
    }

    /// All, in the order in which they go into blocks.
    pub fn best_first(&self) -> impl Iterator<Item = u64> {
        self.levels.values().rev().flat_map(|level| level.numbers.iter().copied())
    }

    /// Full blocks that so much is.
    pub fn blocks(&self, room: Room) -> u64 {
        self.terms.blocks(room)
    }

    /// Whether everything fits into one block of at most `bytes_max`.
    pub fn fit(&self, bytes_max: u64) -> bool {
        let all = self.levels.values().fold(Room::default(), |room, level| room.plus(level.room));
        all.bytes <= bytes_max.min(self.terms.bytes_max) && all.gas <= self.terms.gas_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        base_nuxpl: 1_000_000,
        byte_price_nuxpl: 0,
        bytes_max: 10_000,
        gas_max: 100_000_000,
    };

    /// 1,000 bytes (1,003 with tag and length) and a gas that costs 1,000 uxpl.
    fn bid(fee: u128, signer: u8) -> Bid {
        Bid { fee, gas: 1_000_000, size: 1_000, signers: vec![Address([signer; 20])] }
    }

    fn ranks(terms: Terms) -> Ranks {
        Ranks::new(terms)
    }

    fn put(ranks: &mut Ranks, number: u64, bid: &Bid) -> Result<u16, u128> {
        let price = ranks.price(bid);
        ranks.outlasts(bid, price)?;
        ranks.add(number, price, bid, number.is_multiple_of(2));
        Ok(price)
    }

    #[test]
    fn prices_are_eighths_of_what_must_be_paid() {
        let price = |fee| TERMS.price(&bid(fee, 1));
        assert_eq!(price(999), 7);
        assert_eq!(price(1_000), PRICE_MIN);
        assert_eq!([1_124, 1_125, 2_000].map(price), [8, 9, 16]);
        assert_eq!([1_000_000, 2_000_000, u128::MAX].map(price), [8_000; 3]);
    }

    #[test]
    fn who_waits_can_pay_when_its_turn_comes() {
        let mut ranks = ranks(TERMS);
        // Ten are more than a block: the eleventh has one ahead of it.
        for n in 0..10u8 {
            put(&mut ranks, n.into(), &bid(1_000, n)).unwrap();
        }
        assert_eq!(put(&mut ranks, 10, &bid(1_000, 10)), Err(1_125));
        assert!(put(&mut ranks, 10, &bid(1_125, 10)).is_ok(), "nobody ahead pays as much");
        for n in 11..30u8 {
            put(&mut ranks, n.into(), &bid(1_200, n)).unwrap();
        }
        assert_eq!(put(&mut ranks, 30, &bid(1_200, 30)), Err(1_266), "two blocks ahead");
        // What pays twice is behind nobody.
        assert_eq!(put(&mut ranks, 31, &bid(2_000, 31)), Ok(16));
        assert_eq!(ranks.best_first().next(), Some(31));
        assert_eq!(ranks.below(16).take(2).collect::<Vec<_>>(), [9, 8], "the newest goes first");
        assert!(!ranks.fit(u64::MAX));
    }

    #[test]
    fn nothing_goes_before_what_it_waits_for() {
        let mut ranks = ranks(Terms { bytes_max: 1 << 20, ..TERMS });
        put(&mut ranks, 0, &bid(1_000, 1)).unwrap();
        assert_eq!(put(&mut ranks, 1, &bid(9_000, 1)), Ok(8), "behind its account's first");
        assert_eq!(put(&mut ranks, 2, &bid(2_000, 2)), Ok(16));
        let both = Bid { signers: vec![Address([1; 20]), Address([2; 20])], ..bid(4_000, 0) };
        assert_eq!(put(&mut ranks, 3, &both), Ok(8));
        assert_eq!(put(&mut ranks, 4, &bid(4_000, 2)), Ok(8), "behind the one of both");
        let free = Bid { signers: Vec::new(), ..bid(4_000, 0) };
        assert_eq!(put(&mut ranks, 5, &free), Ok(32));
        assert_eq!(ranks.best_first().collect::<Vec<_>>(), [5, 2, 0, 1, 3, 4]);
        assert_eq!(ranks.below(16).collect::<Vec<_>>(), [4, 3, 1, 0]);
        assert_eq!(ranks.alone_below(16).collect::<Vec<_>>(), [4, 0]);
        assert!(ranks.fit(6 * 1_003) && !ranks.fit(6 * 1_003 - 1));
        for (number, price, bid) in
            [(0, 8, bid(1_000, 1)), (2, 16, bid(2_000, 2)), (2, 16, bid(2_000, 2))]
        {
            ranks.remove(number, price, &bid);
        }
        assert_eq!(ranks.best_first().collect::<Vec<_>>(), [5, 1, 3, 4]);
        assert!(ranks.fit(4 * 1_003) && !ranks.fit(4 * 1_003 - 1));
    }

    #[test]
    fn numbers_without_end_are_no_matter() {
        let terms = Terms { base_nuxpl: u64::MAX, byte_price_nuxpl: u64::MAX, ..TERMS };
        let huge = Bid { fee: u128::MAX, gas: u64::MAX, size: usize::MAX, signers: Vec::new() };
        let mut ranks = ranks(terms);
        for number in 0..3 {
            let price = ranks.price(&huge);
            ranks.add(number, price, &huge, false);
        }
        assert!(terms.required(&huge, u64::MAX) > 0);
        assert!(ranks.outlasts(&huge, PRICE_MIN).is_ok(), "it pays anything");
        assert_eq!(Terms::default().blocks(Room { bytes: 5, gas: 5 }), 5);
    }
}
