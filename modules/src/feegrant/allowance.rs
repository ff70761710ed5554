//! What an allowance lets through, and what is left of it: pure.

use alloc::{format, string::String, vec::Vec};

use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    feegrant::v1beta1::{AllowedMsgAllowance, BasicAllowance, PeriodicAllowance},
};
use prost::{Message, Name};
use prost_types::{Any, Duration, Timestamp};

use super::Error;
use crate::{
    Amount, Denom, Sdk,
    error::fault,
    token::Coins,
    tx::{TIME_LAST_S, canonical},
};

/// Most denominations of a limit.
const COINS_MAX: usize = 4;
/// Most types of messages that a filter names. All of an allowance is written anew at each use, at a
/// fixed price.
const MESSAGES_MAX: usize = 16;
/// Longest name of a type, bytes.
const TYPE_BYTES_MAX: usize = 96;
/// Longest duration of protobuf: 10,000 years.
const DURATION_MAX_S: i64 = 315_576_000_000;
/// The first second of the year 1, where protobuf's times begin.
const TIME_MIN_S: i64 = -62_135_596_800;
const NANOS: i32 = 1_000_000_000;

/// A well-formed allowance.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowance {
    /// Types of messages that it pays for; all where there are none.
    messages: Vec<String>,
    plain: Plain,
}

/// One without a filter. A filter stands around one of these, never around another filter.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Basic(BasicAllowance),
    Periodic(PeriodicAllowance),
}

impl Allowance {
    /// Reads what a message grants.
    pub fn new(any: &Any) -> Result<Self, Error> {
        if any.type_url != AllowedMsgAllowance::type_url() {
            return Ok(Self { messages: Vec::new(), plain: Plain::new(any)? });
        }
        let filter: AllowedMsgAllowance = canonical(&any.value, "AllowedMsgAllowance")?;
        let AllowedMsgAllowance { allowance, allowed_messages: messages } = filter;
        let inner = allowance.ok_or(Error::NoAllowance("allowance should not be empty"))?;
        if messages.is_empty() {
            return Err(Error::NoMessages);
        }
        if messages.len() > MESSAGES_MAX {
            return Err(Error::TooLarge("a filter names at most 16 types of messages"));
        }
        if messages.iter().any(|name| name.is_empty() || name.len() > TYPE_BYTES_MAX) {
            return Err(Error::TooLarge("the name of a type has 1 to 96 bytes"));
        }
        if inner.type_url == AllowedMsgAllowance::type_url() {
            return Err(Error::TooLarge("a filter may not stand around a filter"));
        }
        Ok(Self { messages, plain: Plain::new(&inner)? })
    }

    /// Reads what was stored.
    pub fn stored(any: &Any) -> Self {
        Self::new(any).unwrap_or_else(|_| fault("bad allowance", &any.value))
    }

    /// As in messages, queries and state.
    pub fn to_any(&self) -> Any {
        let plain = match &self.plain {
            Plain::Basic(basic) => pack(basic),
            Plain::Periodic(periodic) => pack(periodic),
        };
        if self.messages.is_empty() {
            return plain;
        }
        let allowed_messages = self.messages.clone();
        pack(&AllowedMsgAllowance { allowance: Some(plain), allowed_messages })
    }

    /// How many types of messages it names.
    pub fn messages_len(&self) -> usize {
        self.messages.len()
    }

    /// The last second in which it may be used.
    pub fn expires_s(&self) -> Option<u64> {
        let time = self.plain.basic()?.expiration?;
        u64::try_from(time.seconds).ok()
    }

    /// Whether its time has passed: it ends before the block's time.
    pub fn is_expired(&self, now_s: u64) -> bool {
        self.expires_s().is_some_and(|last| last < now_s)
    }

    /// Takes a fee for messages of these types. `Ok(true)`: the allowance is used up.
    pub fn take(&mut self, fee: Amount, now_s: u64, types: &[String]) -> Result<bool, Error> {
        if !self.messages.is_empty()
            && let Some(other) = types.iter().find(|name| !self.messages.contains(name))
        {
            return Err(Error::MessageNotAllowed(other.clone()));
        }
        if self.is_expired(now_s) {
            return Err(Error::Expired);
        }
        match &mut self.plain {
            Plain::Basic(basic) => spend(&mut basic.spend_limit, fee, "basic allowance"),
            Plain::Periodic(periodic) => {
                turn_period(periodic, now_s);
                let left = less(&periodic.period_can_spend, fee);
                periodic.period_can_spend = left.ok_or(Error::LimitExceeded("period limit"))?;
                match &mut periodic.basic {
                    Some(basic) => spend(&mut basic.spend_limit, fee, "absolute limit"),
                    None => Ok(false),
                }
            }
        }
    }
}

impl Plain {
    fn new(any: &Any) -> Result<Self, Error> {
        if any.type_url == BasicAllowance::type_url() {
            let basic: BasicAllowance = canonical(&any.value, "BasicAllowance")?;
            check_basic(&basic)?;
            return Ok(Self::Basic(basic));
        }
        if any.type_url == PeriodicAllowance::type_url() {
            let periodic: PeriodicAllowance = canonical(&any.value, "PeriodicAllowance")?;
            check_periodic(&periodic)?;
            return Ok(Self::Periodic(periodic));
        }
        Err(Sdk::TxDecode(format!("{:?} is no fee allowance", any.type_url)).into())
    }

    fn basic(&self) -> Option<&BasicAllowance> {
        match self {
            Self::Basic(basic) => Some(basic),
            Self::Periodic(periodic) => periodic.basic.as_ref(),
        }
    }
}

fn check_basic(basic: &BasicAllowance) -> Result<(), Error> {
    let BasicAllowance { spend_limit, expiration } = basic;
    if !spend_limit.is_empty() {
        check_coins(spend_limit)?;
    }
    match expiration {
        Some(time) if time.seconds < 0 => {
            Err(Error::InvalidDuration("expiration time cannot be negative"))
        }
        Some(time) => check_time(*time),
        None => Ok(()),
    }
}

fn check_periodic(periodic: &PeriodicAllowance) -> Result<(), Error> {
    let PeriodicAllowance { basic, period, period_spend_limit, period_can_spend, period_reset } =
        periodic;
    let absolute = match basic {
        Some(basic) => {
            check_basic(basic)?;
            basic.spend_limit.as_slice()
        }
        None => &[],
    };
    check_coins(period_spend_limit)?;
    if !period_can_spend.is_empty() {
        check_coins(period_can_spend)?;
    }
    let known = |coin: &Coin| absolute.iter().any(|other| other.denom == coin.denom);
    if !absolute.is_empty() && !period_spend_limit.iter().all(known) {
        let text = "period spend limit has different currency than basic spend limit";
        return Err(Sdk::InvalidCoins(text.into()).into());
    }
    if let Some(Duration { seconds, nanos }) = period
        && !((0..=DURATION_MAX_S).contains(seconds) && (0..NANOS).contains(nanos))
    {
        return Err(Error::InvalidDuration("the period is negative or longer than 10,000 years"));
    }
    period_reset.map_or(Ok(()), check_time)
}

fn check_coins(coins: &[Coin]) -> Result<(), Error> {
    if coins.len() > COINS_MAX {
        return Err(Error::TooLarge("a limit has at most 4 denominations"));
    }
    Coins::new(coins).map_err(|error| Sdk::InvalidCoins(format!("{error}")))?;
    Ok(())
}

fn check_time(time: Timestamp) -> Result<(), Error> {
    let Timestamp { seconds, nanos } = time;
    let fits = (TIME_MIN_S..=TIME_LAST_S).contains(&seconds) && (0..NANOS).contains(&nanos);
    if fits { Ok(()) } else { Err(Error::InvalidDuration("a time is out of protobuf's bounds")) }
}

/// Takes a fee from a limit; no limit is no bound. `Ok(true)`: nothing is left that could pay one,
/// whatever other denominations the limit names.
fn spend(limit: &mut Vec<Coin>, fee: Amount, what: &'static str) -> Result<bool, Error> {
    if limit.is_empty() {
        return Ok(false);
    }
    *limit = less(limit, fee).ok_or(Error::LimitExceeded(what))?;
    Ok(!limit.iter().any(|coin| coin.denom == Denom::uxpl().as_str()))
}

/// The coins without a fee in uxpl.
fn less(coins: &[Coin], fee: Amount) -> Option<Vec<Coin>> {
    let uxpl = Denom::uxpl();
    let of = |coin: &Coin| Amount::stored(&coin.amount);
    let mut left = coins.to_vec();
    let at = left.iter().position(|coin| coin.denom == uxpl.as_str());
    match at.and_then(|at| left.get_mut(at)) {
        None => (fee == Amount::ZERO).then_some(left),
        Some(coin) => {
            coin.amount = of(coin).minus(fee)?.text();
            left.retain(|coin| of(coin) != Amount::ZERO);
            Some(left)
        }
    }
}

/// Begins a new period if the last one is over: within one period of its end the next one follows
/// it; later, it begins now.
fn turn_period(periodic: &mut PeriodicAllowance, now_s: u64) {
    let now = i128::from(now_s).saturating_mul(NANOS.into());
    let reset = periodic.period_reset.map_or(0, |time| nanos(time.seconds, time.nanos));
    if now < reset {
        return;
    }
    let absolute = periodic.basic.as_ref().map_or(&[][..], |basic| &basic.spend_limit);
    let fits = |coin: &Coin| {
        let whole = absolute.iter().find(|other| other.denom == coin.denom);
        whole.is_some_and(|whole| Amount::stored(&whole.amount) >= Amount::stored(&coin.amount))
    };
    let all_fit = absolute.is_empty() || periodic.period_spend_limit.iter().all(fits);
    periodic.period_can_spend =
        if all_fit { periodic.period_spend_limit.clone() } else { absolute.to_vec() };
    let period = periodic.period.map_or(0, |period| nanos(period.seconds, period.nanos));
    let next = reset.saturating_add(period);
    periodic.period_reset = Some(time(if now > next { now.saturating_add(period) } else { next }));
}

fn nanos(seconds: i64, nanos: i32) -> i128 {
    i128::from(seconds).saturating_mul(NANOS.into()).saturating_add(nanos.into())
}

/// The time, at most protobuf's last.
fn time(total: i128) -> Timestamp {
    let last = nanos(TIME_LAST_S, 0);
    let total = total.min(last);
    let seconds = total.checked_div_euclid(NANOS.into()).and_then(|s| i64::try_from(s).ok());
    let nanos = total.checked_rem_euclid(NANOS.into()).and_then(|n| i32::try_from(n).ok());
    Timestamp { seconds: seconds.unwrap_or_default(), nanos: nanos.unwrap_or_default() }
}

fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
