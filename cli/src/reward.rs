//! `xpl reward`: what providers earn beside their charges, and what a bond yields.

use clap::Subcommand;
use gpu_node::client::{Client, any};
use plasma_modules::{Address, Amount};
use plasma_proto::plasma::reward::v1::{
    Epoch, MsgClaimReward, QueryAccountRequest, QueryAccountResponse, QueryCurrentEpochRequest,
    QueryCurrentEpochResponse, QueryEpochsRequest, QueryEpochsResponse, QueryYieldRequest,
    QueryYieldResponse, QueryYieldsRequest, QueryYieldsResponse, Yield,
};
use serde_json::json;

use crate::App;
use crate::amount::{self, thousands, xpl_text};
use crate::error::Result;
use crate::node::utc;
use crate::output::{Table, Tone, proto_json};
use crate::query::all_pages;
use crate::tx::{self, TxArgs};

/// Rewards.
#[derive(Debug, Subcommand)]
pub enum RewardCommand {
    /// What a provider was rewarded with, and what its bond yields
    Show {
        /// Operator: address, contact or key; your own if left out
        operator: Option<String>,
    },
    /// What the bond of every provider yields, from use and from newly made XPL
    Yields,
    /// The epoch under way, and those that ended, newest first
    Epochs,
    /// Have what your provider was rewarded with paid out
    Claim {
        #[command(flatten)]
        tx: TxArgs,
    },
}

/// Runs `xpl reward`.
///
/// # Errors
/// If the chain refuses, or there is no such provider.
pub async fn run(app: &App, command: RewardCommand) -> Result<()> {
    match command {
        RewardCommand::Show { operator } => {
            let operator =
                operator.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
            show(app, &app.client().await?, operator).await
        }
        RewardCommand::Yields => yields(app, &app.client().await?).await,
        RewardCommand::Epochs => epochs(app, &app.client().await?).await,
        RewardCommand::Claim { tx } => claim(app, &tx).await,
    }
}

/// Basis points a year as a percentage.
fn yearly(bps: u64) -> String {
    format!("{}.{:02}%", thousands((bps / 100).into()), bps % 100)
}

async fn account(client: &Client, operator: Address) -> Result<QueryAccountResponse> {
    let request = QueryAccountRequest { operator: operator.text() };
    Ok(client.query("/plasma.reward.v1.Query/Account", &request).await?)
}

/// What could be claimed now.
fn claimable(answer: &QueryAccountResponse) -> Amount {
    let part = |text: &str| Amount::parse(text).unwrap_or_default();
    let accrued = answer.account.as_ref().map_or("", |account| account.accrued_uxpl.as_str());
    let (accrued, pending) = (part(accrued), part(&answer.pending_standby_uxpl));
    accrued.plus(pending).unwrap_or(accrued)
}

async fn show(app: &App, client: &Client, operator: Address) -> Result<()> {
    let answer = account(client, operator).await?;
    let request = QueryYieldRequest { operator: operator.text() };
    let found: QueryYieldResponse = client.query("/plasma.reward.v1.Query/Yield", &request).await?;
    let earned = found.r#yield.unwrap_or_default();
    let Yield { use_uxpl, emission_uxpl, standby_uxpl, bond_uxpl, .. } = &earned;
    let mut table = Table::fields();
    table.field_toned("provider", operator.text(), Tone::Strong);
    table.field_toned("to claim", amount::xpl(claimable(&answer)), Tone::Good);
    table.field("bond", xpl_text(bond_uxpl));
    table.field("earned by use", xpl_text(use_uxpl));
    table.field("rewarded for use", xpl_text(emission_uxpl));
    table.field("rewarded for standing by", xpl_text(standby_uxpl));
    table
        .field("yield from use", format!("{} of the bond a year", yearly(earned.use_bps_per_year)));
    table.field(
        "yield from newly made XPL",
        format!("{} of the bond a year", yearly(earned.subsidy_bps_per_year)),
    );
    let json = json!({
        "account": proto_json(&answer)?,
        "yield": proto_json(&earned)?,
        "claimable_uxpl": claimable(&answer).text(),
    });
    app.out.table(&table, "", &json);
    Ok(())
}

async fn yields(app: &App, client: &Client) -> Result<()> {
    let found = all_pages!(
        client,
        "/plasma.reward.v1.Query/Yields",
        QueryYieldsResponse,
        yields,
        |pagination| { QueryYieldsRequest { pagination } }
    );
    let mut table =
        Table::new(["PROVIDER", "BOND", "USE", "NEWLY MADE", "USE/YEAR", "SUBSIDY/YEAR"]);
    for one in &found {
        let part = |text: &str| Amount::parse(text).unwrap_or_default();
        let made = part(&one.emission_uxpl).plus(part(&one.standby_uxpl)).unwrap_or_default();
        table.row([
            one.operator.clone(),
            xpl_text(&one.bond_uxpl),
            xpl_text(&one.use_uxpl),
            amount::xpl(made),
            yearly(one.use_bps_per_year),
            yearly(one.subsidy_bps_per_year),
        ]);
    }
    let json = found.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no provider was rewarded yet", &json);
    Ok(())
}

async fn epochs(app: &App, client: &Client) -> Result<()> {
    let current: QueryCurrentEpochResponse =
        client.query("/plasma.reward.v1.Query/CurrentEpoch", &QueryCurrentEpochRequest {}).await?;
    let mut ended: Vec<Epoch> = all_pages!(
        client,
        "/plasma.reward.v1.Query/Epochs",
        QueryEpochsResponse,
        epochs,
        |pagination| { QueryEpochsRequest { pagination } }
    );
    ended.sort_by_key(|epoch| std::cmp::Reverse(epoch.number));
    let mut table = Table::new(["EPOCH", "FROM", "CHARGED", "BURNED", "MADE", "PROVIDERS"]);
    for epoch in current.epoch.iter().chain(&ended) {
        let made = if epoch.end_s == 0 { "-".to_owned() } else { xpl_text(&epoch.emission_uxpl) };
        table.row([
            epoch.number.to_string(),
            utc(epoch.start_s),
            xpl_text(&epoch.charge_uxpl),
            xpl_text(&epoch.burn_uxpl),
            made,
            thousands(epoch.providers.into()),
        ]);
    }
    let json = json!({
        "current": proto_json(&current)?,
        "ended": ended.iter().map(proto_json).collect::<Result<Vec<_>>>()?,
    });
    app.out.table(&table, "no epoch yet", &json);
    app.out.note(&format!(
        "this year at most {} are made for use and {} for standing by",
        xpl_text(&current.emission_yearly_uxpl),
        xpl_text(&current.standby_yearly_uxpl)
    ));
    Ok(())
}

async fn claim(app: &App, args: &TxArgs) -> Result<()> {
    let (operator, client) = (app.own_address()?, app.client().await?);
    let waiting = claimable(&account(&client, operator).await?);
    if waiting == Amount::ZERO {
        app.out.warn("nothing waits to be claimed; the transaction would cost its fee for nothing");
        app.confirm("Send it all the same?")?;
    }
    let msg = MsgClaimReward { operator: operator.text() };
    let outcome = tx::send(app, &client, any(&msg), args).await?;
    tx::done(app, &outcome, &format!("{} claimed", amount::xpl(waiting)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use plasma_proto::plasma::reward::v1::Account;

    use super::*;

    #[test]
    fn what_can_be_claimed_is_accrued_and_pending() {
        let account = Account { accrued_uxpl: "1500000".into(), ..Account::default() };
        let pending_standby_uxpl = "500000".to_owned();
        let answer = QueryAccountResponse { account: Some(account), pending_standby_uxpl };
        assert_eq!(claimable(&answer).units(), 2_000_000);
        assert_eq!(claimable(&QueryAccountResponse::default()), Amount::ZERO);
        assert_eq!(
            [yearly(0), yearly(1_234), yearly(1_000_000)],
            ["0.00%", "12.34%", "10,000.00%"]
        );
    }
}
