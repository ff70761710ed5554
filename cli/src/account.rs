//! `xpl account`: what an account is, and what of its money is locked.

use clap::Subcommand;
use plasma_modules::auth;
use plasma_proto::cosmos::auth::v1beta1::{
    BaseAccount, ModuleAccount, QueryAccountRequest, QueryAccountResponse,
};
use plasma_proto::cosmos::vesting::v1beta1::{
    BaseVestingAccount, ContinuousVestingAccount, DelayedVestingAccount, PeriodicVestingAccount,
    PermanentLockedAccount,
};
use prost::{Message, Name};
use prost_types::Any;
use serde_json::json;

use crate::App;
use crate::amount;
use crate::error::{Failure, Result};
use crate::node::utc;
use crate::output::{Table, Tone, proto_json};
use crate::tx::locked;

/// Accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// One account: its kind, number, sequence, and what it may spend
    Show {
        /// Address, contact or key; your own if left out
        account: Option<String>,
    },
}

/// Runs `xpl account`.
///
/// # Errors
/// If there is no such account.
pub async fn run(app: &App, command: AccountCommand) -> Result<()> {
    let AccountCommand::Show { account } = command;
    let address = account.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
    let client = app.client().await?;
    let request = QueryAccountRequest { address: address.text() };
    let answer: QueryAccountResponse =
        client.query("/cosmos.auth.v1beta1.Query/Account", &request).await?;
    let any = answer.account.unwrap_or_default();
    let (balance, spendable) = (client.balance(address).await?, client.spendable(address).await?);
    let shown = Shown::read(&any)?;

    let mut table = Table::fields();
    table.field_toned("account", address.text(), Tone::Strong);
    table.field("kind", shown.kind);
    table.field("number", shown.base.account_number.to_string());
    table.field("sequence", shown.base.sequence.to_string());
    let key = if auth::key(&shown.base).is_some() { "shown" } else { "not shown yet" };
    table.field("public key", key);
    table.field("balance", amount::xpl(balance));
    table.field("spendable", amount::xpl(spendable));
    table.field("locked", amount::xpl(locked(balance, spendable)));
    for (name, value) in &shown.schedule {
        table.field(name, value);
    }
    let json = json!({
        "account": proto_json(&any)?,
        "balance_uxpl": balance.text(),
        "spendable_uxpl": spendable.text(),
        "locked_uxpl": locked(balance, spendable).text(),
    });
    app.out.table(&table, "", &json);
    Ok(())
}

/// An account of any kind, in words.
#[derive(Debug)]
struct Shown {
    kind: &'static str,
    base: BaseAccount,
    schedule: Vec<(&'static str, String)>,
}

impl Shown {
    fn read(any: &Any) -> Result<Self> {
        if let Some(base) = decode::<BaseAccount>(any)? {
            return Ok(Self { kind: "plain", base, schedule: Vec::new() });
        }
        if let Some(ModuleAccount { base_account, name, .. }) = decode(any)? {
            let base = base_account.unwrap_or_default();
            return Ok(Self {
                kind: "of the chain itself",
                base,
                schedule: vec![("module", name)],
            });
        }
        if let Some(DelayedVestingAccount { base_vesting_account }) = decode(any)? {
            return Ok(Self::of("locked until an end", base_vesting_account, None));
        }
        if let Some(PermanentLockedAccount { base_vesting_account }) = decode(any)? {
            return Ok(Self::of("locked for good", base_vesting_account, None));
        }
        if let Some(ContinuousVestingAccount { base_vesting_account, start_time }) = decode(any)? {
            let kind = "released second by second";
            return Ok(Self::of(kind, base_vesting_account, Some(start_time)));
        }
        if let Some(account) = decode::<PeriodicVestingAccount>(any)? {
            let PeriodicVestingAccount { base_vesting_account, start_time, vesting_periods } =
                account;
            let kind = "released part by part";
            let mut shown = Self::of(kind, base_vesting_account, Some(start_time));
            let mut end = start_time;
            for period in vesting_periods {
                end = end.saturating_add(period.length);
                let parts: Vec<_> =
                    period.amount.iter().map(|coin| coins(&coin.denom, &coin.amount)).collect();
                shown.schedule.push(("part", format!("{} at {}", parts.join(", "), time(end))));
            }
            return Ok(shown);
        }
        let text = format!("this program does not know accounts of the kind {}", any.type_url);
        Err(Failure::usage(text).hint("a newer xpl may know it"))
    }

    fn of(kind: &'static str, base: Option<BaseVestingAccount>, start: Option<i64>) -> Self {
        let BaseVestingAccount { base_account, original_vesting, end_time, .. } =
            base.unwrap_or_default();
        let all: Vec<_> =
            original_vesting.iter().map(|coin| coins(&coin.denom, &coin.amount)).collect();
        let mut schedule = vec![("locked at first", all.join(", "))];
        schedule.extend(start.map(|start| ("release begins", time(start))));
        if end_time > 0 {
            schedule.push(("release ends", time(end_time)));
        }
        Self { kind, base: base_account.unwrap_or_default(), schedule }
    }
}

fn coins(denom: &str, units: &str) -> String {
    if denom == gpu_node::client::DENOM {
        amount::xpl_text(units)
    } else {
        format!("{units} {denom}")
    }
}

fn time(seconds: i64) -> String {
    utc(u64::try_from(seconds).unwrap_or_default())
}

fn decode<M: Message + Name + Default>(any: &Any) -> Result<Option<M>> {
    if any.type_url != M::type_url() {
        return Ok(None);
    }
    let read = M::decode(any.value.as_slice());
    read.map(Some).map_err(|error| Failure::usage(format!("the account cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use gpu_node::client::any;
    use plasma_proto::cosmos::base::v1beta1::Coin;
    use plasma_proto::cosmos::vesting::v1beta1::Period;

    use super::*;

    #[test]
    fn locked_accounts_tell_their_schedule() {
        let amount = vec![Coin { denom: "uxpl".into(), amount: "1500000".into() }];
        let base = Some(BaseVestingAccount {
            base_account: Some(BaseAccount { sequence: 3, ..BaseAccount::default() }),
            original_vesting: amount.clone(),
            end_time: 160,
            ..BaseVestingAccount::default()
        });
        let period = Period { length: 60, amount };
        let account = PeriodicVestingAccount {
            base_vesting_account: base.clone(),
            start_time: 100,
            vesting_periods: vec![period],
        };
        let shown = Shown::read(&any(&account)).unwrap();
        assert_eq!((shown.kind, shown.base.sequence), ("released part by part", 3));
        let names: Vec<_> = shown.schedule.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["locked at first", "release begins", "release ends", "part"]);
        assert!(shown.schedule[3].1.starts_with("1.5 XPL at 1970-01-01"), "{shown:?}");
        let forever = PermanentLockedAccount { base_vesting_account: base };
        assert_eq!(Shown::read(&any(&forever)).unwrap().kind, "locked for good");
        let unknown = Any { type_url: "/a.b.C".into(), value: vec![] };
        assert!(Shown::read(&unknown).unwrap_err().message.contains("/a.b.C"));
    }
}
