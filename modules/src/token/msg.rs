use alloc::{format, string::String, vec::Vec};
use core::fmt;

use plasma_proto::cosmos::{
    bank::v1beta1::{MsgMultiSend, MsgSend},
    base::v1beta1::Coin,
};

use super::Error;
use crate::{Address, Amount, Denom, Sdk};

const SEND_GAS: u64 = 40_000;
const MULTI_SEND_GAS: u64 = 20_000;
const OUTPUT_GAS: u64 = 20_000;

/// Most outputs of a multi-send.
pub(super) const OUTPUTS_MAX: usize = 256;

/// Coins of a message: at least one, in order of denom, none twice, none zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coins(Vec<(Denom, Amount)>);

impl Coins {
    /// Reads the coins of a message.
    pub fn new(coins: &[Coin]) -> Result<Self, Error> {
        let bad = |why: String| Error::from(Sdk::InvalidCoins(why));
        let mut read: Vec<(Denom, Amount)> = Vec::with_capacity(coins.len());
        for Coin { denom, amount } in coins {
            let units =
                Amount::parse(amount).ok_or_else(|| bad(format!("{amount:?} is no amount")))?;
            if units == Amount::ZERO {
                return Err(Error::zero_amount());
            }
            let denom = Denom::new(denom).ok_or_else(|| bad(format!("{denom:?} is no denom")))?;
            if read.last().is_some_and(|(last, _)| *last >= denom) {
                return Err(bad("not in order of denom, or one stands twice".into()));
            }
            read.push((denom, units));
        }
        if read.is_empty() { Err(bad("no coins".into())) } else { Ok(Self(read)) }
    }

    /// One coin.
    pub fn one(denom: Denom, amount: Amount) -> Self {
        Self([(denom, amount)].into())
    }

    /// The amount of a denomination.
    pub fn of(&self, denom: &Denom) -> Option<Amount> {
        self.0.iter().find(|(name, _)| name == denom).map(|(_, amount)| *amount)
    }

    /// As coins of a message.
    pub fn to_proto(&self) -> Vec<Coin> {
        self.0.iter().map(|(denom, amount)| Self::coin(denom, *amount)).collect()
    }

    /// One coin of a message.
    pub fn coin(denom: &Denom, amount: Amount) -> Coin {
        Coin { denom: denom.as_str().into(), amount: amount.text() }
    }

    /// Each coin, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(Denom, Amount)> {
        self.0.iter()
    }
}

impl fmt::Display for Coins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (denom, amount)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{amount}{denom}")?;
        }
        Ok(())
    }
}

/// Moves coins from one account to another.
#[derive(Clone, Debug)]
pub struct Send {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) coins: Coins,
}

impl Send {
    /// Checks everything that needs no state.
    pub fn new(MsgSend { from_address, to_address, amount }: MsgSend) -> Result<Self, Error> {
        Ok(Self {
            from: Address::parse(&from_address)?,
            to: Address::parse(&to_address)?,
            coins: Coins::new(&amount)?,
        })
    }

    /// To whom it goes, and what.
    pub fn payment(&self) -> (Address, &Coins) {
        (self.to, &self.coins)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.from
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        let coins = u64::try_from(self.coins.0.len()).unwrap_or(u64::MAX);
        SEND_GAS.saturating_mul(coins)
    }
}

/// Moves coins from one account to many.
#[derive(Clone, Debug)]
pub struct MultiSend {
    pub(super) from: Address,
    pub(super) coins: Coins,
    pub(super) outputs: Vec<(Address, Coins)>,
}

impl MultiSend {
    /// Checks everything that needs no state: one input, whose coins are the outputs' sum.
    pub fn new(MsgMultiSend { inputs, outputs }: MsgMultiSend) -> Result<Self, Error> {
        let bad = |why: &str| Error::from(Sdk::InvalidRequest(why.into()));
        let [input] = inputs.as_slice() else { return Err(bad("exactly one input is taken")) };
        if outputs.is_empty() || outputs.len() > OUTPUTS_MAX {
            return Err(bad("1 to 256 outputs are taken"));
        }
        let mut read = Vec::with_capacity(outputs.len());
        let coins = Coins::new(&input.coins)?;
        let mut left: alloc::collections::BTreeMap<Denom, Amount> = coins.iter().cloned().collect();
        for output in &outputs {
            let paid = Coins::new(&output.coins)?;
            for (denom, amount) in paid.iter() {
                let have = left.remove(denom).unwrap_or_default();
                let rest = have.minus(*amount).ok_or_else(|| bad("outputs exceed the input"))?;
                left.insert(denom.clone(), rest);
            }
            read.push((Address::parse(&output.address)?, paid));
        }
        if left.values().any(|amount| *amount != Amount::ZERO) {
            return Err(bad("the input exceeds the outputs"));
        }
        Ok(Self { from: Address::parse(&input.address)?, coins, outputs: read })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.from
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        let coins: usize = self.outputs.iter().map(|(_, coins)| coins.0.len()).sum();
        let coins = u64::try_from(coins).unwrap_or(u64::MAX);
        MULTI_SEND_GAS.saturating_add(OUTPUT_GAS.saturating_mul(coins))
    }
}
