//! `xpl feegrant`: letting others pay fees from one's own balance.

use std::time::Duration;

use clap::{Args, Subcommand};
use gpu_node::client::{Client, DENOM, any};
use plasma_modules::msg::Msg;
use plasma_modules::{Address, Amount};
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::cosmos::feegrant::v1beta1::{
    AllowedMsgAllowance, BasicAllowance, Grant, MsgGrantAllowance, MsgRevokeAllowance,
    PeriodicAllowance, QueryAllowancesByGranterRequest, QueryAllowancesByGranterResponse,
    QueryAllowancesRequest, QueryAllowancesResponse,
};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use serde_json::json;

use crate::App;
use crate::amount;
use crate::error::{Failure, Result};
use crate::node::{seconds, utc};
use crate::output::{Table, Tone, proto_json};
use crate::query::all_pages;
use crate::tx::{self, TxArgs, outcome_json};

/// Fees that another pays.
#[derive(Debug, Subcommand)]
pub enum FeegrantCommand {
    /// Let an account pay fees from your balance
    Grant {
        /// Address, contact or key
        grantee: String,
        #[command(flatten)]
        allowance: AllowanceArgs,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Take an allowance back
    Revoke {
        /// Address, contact or key
        grantee: String,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// The allowances that an account has, and those that it gave
    List {
        /// Address, contact or key; your own if left out
        account: Option<String>,
    },
}

/// What is allowed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Allowance")]
pub struct AllowanceArgs {
    /// Most that all fees together may be, for example 5xpl; without a bound if left out
    #[arg(long, value_parser = amount::parse)]
    limit: Option<Amount>,
    /// How long it holds, for example 30d; for good if left out
    #[arg(long, value_parser = amount::duration, value_name = "TIME")]
    expires: Option<Duration>,
    /// Length of a period with a limit of its own, for example 1d
    #[arg(long, value_parser = amount::duration, value_name = "TIME", requires = "period_limit")]
    period: Option<Duration>,
    /// Most that the fees of one period may be
    #[arg(long, value_parser = amount::parse, value_name = "AMOUNT", requires = "period")]
    period_limit: Option<Amount>,
    /// Type of message that it pays for, for example MsgSend; all if left out, several if repeated
    #[arg(long = "message", value_name = "TYPE")]
    messages: Vec<String>,
}

impl AllowanceArgs {
    /// As the chain reads it; times count from `now_s`.
    fn allowance(&self, now_s: u64) -> Result<Any> {
        let coins =
            |amount: Option<Amount>| -> Vec<Coin> { amount.map(tx::coin).into_iter().collect() };
        let expiration = self.expires.map(|span| after(now_s, span)).transpose()?;
        let basic = BasicAllowance { spend_limit: coins(self.limit), expiration };
        let plain = match self.period {
            None => any(&basic),
            Some(period) => any(&PeriodicAllowance {
                basic: Some(basic),
                period: Some(prost_types::Duration {
                    seconds: i64::try_from(period.as_secs()).unwrap_or(i64::MAX),
                    nanos: 0,
                }),
                period_spend_limit: coins(self.period_limit),
                period_can_spend: coins(self.period_limit),
                period_reset: Some(after(now_s, period)?),
            }),
        };
        if self.messages.is_empty() {
            return Ok(plain);
        }
        let types = self.messages.iter().map(|text| message_type(text));
        let allowed_messages = types.collect::<Result<Vec<_>>>()?;
        Ok(any(&AllowedMsgAllowance { allowance: Some(plain), allowed_messages }))
    }
}

/// The time a span after now.
///
/// # Errors
/// If the calendar does not go that far.
pub fn after(now_s: u64, span: Duration) -> Result<Timestamp> {
    let seconds = now_s.checked_add(span.as_secs()).and_then(|end| i64::try_from(end).ok());
    let seconds = seconds.filter(|end| *end <= 253_402_300_799);
    let seconds = seconds.ok_or_else(|| Failure::usage("that is after the year 9999"))?;
    Ok(Timestamp { seconds, nanos: 0 })
}

/// The type of a message by its name: `MsgSend`, or the whole `/cosmos.bank.v1beta1.MsgSend`.
///
/// # Errors
/// If the chain knows no such message, or several.
pub fn message_type(text: &str) -> Result<String> {
    let types = Msg::type_urls();
    let short = |url: &str| url.rsplit('.').next().unwrap_or_default().to_owned();
    let found: Vec<_> = types
        .iter()
        .filter(|url| *url == text || short(url) == text || short(url) == format!("Msg{text}"))
        .collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        _ => {
            let names: Vec<_> = types.iter().map(|url| short(url)).collect();
            Err(Failure::usage(format!("{text:?} is no message of the chain"))
                .hint(format!("it takes {}", names.join(", "))))
        }
    }
}

/// Runs `xpl feegrant`.
///
/// # Errors
/// If the chain refuses.
pub async fn run(app: &App, command: FeegrantCommand) -> Result<()> {
    match command {
        FeegrantCommand::Grant { grantee, allowance, tx } => {
            let (granter, grantee) = (app.own_address()?, app.address(&grantee)?);
            // Said before the node is asked, where it can be.
            allowance.allowance(0)?;
            let client = app.client().await?;
            let allowance = allowance.allowance(client.status().await?.time_s)?;
            let msg = MsgGrantAllowance {
                granter: granter.text(),
                grantee: grantee.text(),
                allowance: Some(allowance.clone()),
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            let text = format!(
                "{grantee} may pay fees from your balance: {}\n  it adds --fee-granter {granter} to its commands",
                words(&allowance)
            );
            app.out.done(&text, &outcome_json(&outcome));
            Ok(())
        }
        FeegrantCommand::Revoke { grantee, tx } => {
            let (granter, grantee) = (app.own_address()?, app.address(&grantee)?);
            let client = app.client().await?;
            let msg = MsgRevokeAllowance { granter: granter.text(), grantee: grantee.text() };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            let text = format!("{grantee} may no longer pay fees from your balance");
            app.out.done(&text, &outcome_json(&outcome));
            Ok(())
        }
        FeegrantCommand::List { account } => {
            let address =
                account.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
            list(app, &app.client().await?, address).await
        }
    }
}

async fn list(app: &App, client: &Client, address: Address) -> Result<()> {
    let has = all_pages!(
        client,
        "/cosmos.feegrant.v1beta1.Query/Allowances",
        QueryAllowancesResponse,
        allowances,
        |pagination| { QueryAllowancesRequest { grantee: address.text(), pagination } }
    );
    let gave = all_pages!(
        client,
        "/cosmos.feegrant.v1beta1.Query/AllowancesByGranter",
        QueryAllowancesByGranterResponse,
        allowances,
        |pagination| { QueryAllowancesByGranterRequest { granter: address.text(), pagination } }
    );
    let mut table = Table::new(["GRANTER", "GRANTEE", "ALLOWANCE"]);
    for Grant { granter, grantee, allowance } in has.iter().chain(&gave) {
        let allowance = allowance.clone().unwrap_or_default();
        table.toned([
            (granter.clone(), Tone::Plain),
            (grantee.clone(), Tone::Plain),
            (words(&allowance), Tone::Strong),
        ]);
    }
    let documents = |grants: &[Grant]| grants.iter().map(proto_json).collect::<Result<Vec<_>>>();
    let json = json!({ "has": documents(&has)?, "gave": documents(&gave)? });
    app.out.table(&table, "no allowances", &json);
    Ok(())
}

/// An allowance for people.
fn words(allowance: &Any) -> String {
    if let Some(filter) = read::<AllowedMsgAllowance>(allowance) {
        let inner = filter.allowance.as_ref().map(words).unwrap_or_default();
        let name = |url: &String| url.rsplit('.').next().unwrap_or_default().to_owned();
        let names: Vec<_> = filter.allowed_messages.iter().map(name).collect();
        return format!("{inner}, for {} alone", names.join(", "));
    }
    if let Some(periodic) = read::<PeriodicAllowance>(allowance) {
        let seconds = periodic.period.map_or(0, |period| period.seconds);
        let span = amount::span(u64::try_from(seconds).unwrap_or_default());
        let (whole, left) =
            (coins(&periodic.period_spend_limit), coins(&periodic.period_can_spend));
        let left = if left.is_empty() { "0 XPL".to_owned() } else { left };
        let inner = basic_words(&periodic.basic.unwrap_or_default());
        return format!("{whole} each {span} ({left} left of this one), {inner}");
    }
    read::<BasicAllowance>(allowance)
        .map_or_else(|| allowance.type_url.clone(), |basic| basic_words(&basic))
}

fn basic_words(basic: &BasicAllowance) -> String {
    let limit = coins(&basic.spend_limit);
    let limit = if limit.is_empty() { "no limit".to_owned() } else { format!("{limit} left") };
    match &basic.expiration {
        None => limit,
        Some(time) => {
            format!("{limit}, until {}", utc(seconds(Some(time))))
        }
    }
}

fn coins(coins: &[Coin]) -> String {
    let text = |coin: &Coin| {
        if coin.denom == DENOM {
            amount::xpl_text(&coin.amount)
        } else {
            format!("{} {}", coin.amount, coin.denom)
        }
    };
    coins.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The message in an Any, if it is one of this type.
pub fn read<M: Message + Name + Default>(any: &Any) -> Option<M> {
    (any.type_url == M::type_url()).then(|| M::decode(any.value.as_slice()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use plasma_modules::feegrant::Allowance;

    use super::*;

    fn args() -> AllowanceArgs {
        AllowanceArgs {
            limit: None,
            expires: None,
            period: None,
            period_limit: None,
            messages: vec![],
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_chain_reads() {
        let (day, xpl) = (Some(Duration::from_secs(86_400)), |units| Some(Amount::new(units)));
        let messages = vec!["MsgSend".to_owned(), "SubmitJob".to_owned()];
        for (args, text) in [
            (args(), "no limit"),
            (
                AllowanceArgs { limit: xpl(2_500_000), expires: day, ..args() },
                "2.5 XPL left, until 1970-01-02",
            ),
            (
                AllowanceArgs { period: day, period_limit: xpl(1_000_000), ..args() },
                "1 XPL each 1d 0h (1 XPL left of this one), no limit",
            ),
            (AllowanceArgs { messages, ..args() }, "no limit, for MsgSend, MsgSubmitJob alone"),
        ] {
            let allowance = args.allowance(0).unwrap();
            assert!(words(&allowance).starts_with(text), "{}", words(&allowance));
            Allowance::new(&allowance).unwrap();
        }
        let unknown = AllowanceArgs { messages: vec!["MsgVote".into()], ..args() };
        assert!(unknown.allowance(0).unwrap_err().message.contains("MsgVote"));
    }

    #[test]
    fn messages_are_found_by_their_names() {
        for name in ["Send", "MsgSend", "/cosmos.bank.v1beta1.MsgSend"] {
            assert_eq!(message_type(name).unwrap(), "/cosmos.bank.v1beta1.MsgSend");
        }
        assert_eq!(message_type("nonsense").unwrap_err().exit, 2);
    }
}
