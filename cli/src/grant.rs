//! `xpl grant`: money of the community for builders, released milestone by milestone.

use clap::{Args, Subcommand, ValueEnum};
use gpu_node::client::{Client, DENOM, any};
use plasma_modules::Amount;
use plasma_proto::cosmos::distribution::v1beta1::{
    MsgFundCommunityPool, QueryCommunityPoolRequest, QueryCommunityPoolResponse,
};
use plasma_proto::plasma::governance::v1::{
    Grant, GrantStatus, Milestone, MsgApproveMilestone, MsgCancelGrant, MsgCreateGrant,
    QueryGrantRequest, QueryGrantResponse, QueryGrantsRequest, QueryGrantsResponse,
};
use serde_json::json;

use crate::App;
use crate::amount::{self, xpl_text};
use crate::error::{Failure, Result};
use crate::node::utc;
use crate::output::{Table, Tone, clean, proto_json};
use crate::proposal::authority;
use crate::query::all_pages;
use crate::tx::{self, TxArgs, coin, done};

/// Grants.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Grants, newest first
    List {
        /// Those of this builder alone: address, contact or key
        #[arg(long, value_name = "ACCOUNT")]
        recipient: Option<String>,
        /// Those in this state alone
        #[arg(long, value_enum, conflicts_with = "recipient")]
        status: Option<Stage>,
    },
    /// One grant and its milestones
    Show {
        /// Its number
        id: u64,
    },
    /// Write the message of a proposal that makes a grant; hand it to `xpl gov submit`
    #[command(after_help = "\
  xpl grant draft bob --title \"Explorer\" --milestone \"Design=500xpl\" --milestone \"Launch=1500xpl\" \\
      --reviewer carol --reviewer dave --threshold 2 > grant.json
  xpl gov submit grant.json --title \"A grant for an explorer\" --summary \"...\" --deposit 100xpl")]
    Draft(DraftArgs),
    /// Say that the next milestone of a grant is reached, as one of its reviewers
    Approve {
        /// The grant's number
        id: u64,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Give your own grant back: what is not paid returns to the community
    Return {
        /// The grant's number
        id: u64,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// What the community has, of which grants are paid
    Pool,
    /// Give XPL to the community
    Fund {
        /// For example 5xpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        #[command(flatten)]
        tx: TxArgs,
    },
}

/// Where a grant is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Stage {
    /// Its next milestone waits
    Open,
    /// Every milestone is paid
    Done,
    /// Taken or given back
    Cancelled,
    /// Its deadline passed
    Expired,
}

impl Stage {
    const fn status(self) -> GrantStatus {
        match self {
            Self::Open => GrantStatus::Open,
            Self::Done => GrantStatus::Done,
            Self::Cancelled => GrantStatus::Cancelled,
            Self::Expired => GrantStatus::Expired,
        }
    }
}

/// A grant to propose.
#[derive(Debug, Args)]
pub struct DraftArgs {
    /// Who is paid: address, contact or key
    recipient: String,
    /// What it is for
    #[arg(long)]
    title: String,
    /// A milestone and what it pays, in order; several if repeated
    #[arg(long = "milestone", value_name = "TITLE=AMOUNT", required = true, value_parser = milestone)]
    milestones: Vec<Milestone>,
    /// Who may approve milestones: address, contact or key; several if repeated; none leaves it to votes
    #[arg(long = "reviewer", value_name = "ACCOUNT")]
    reviewers: Vec<String>,
    /// Approvals that pay a milestone; all reviewers if left out
    #[arg(long)]
    threshold: Option<u32>,
    /// What is not paid within this time returns, for example 180d; never if left out
    #[arg(long, value_parser = amount::duration, value_name = "TIME")]
    within: Option<std::time::Duration>,
}

/// Reads `Design=500xpl`.
fn milestone(text: &str) -> Result<Milestone, String> {
    let (title, amount) = text
        .rsplit_once('=')
        .ok_or_else(|| format!("{text:?} is no milestone; it looks like \"Design=500xpl\""))?;
    if title.trim().is_empty() {
        return Err("a milestone needs a title".to_owned());
    }
    let amount_uxpl = amount::parse(amount)?.text();
    Ok(Milestone { title: title.trim().to_owned(), amount_uxpl })
}

/// Runs `xpl grant`.
///
/// # Errors
/// If the chain refuses, or there is no such grant.
pub async fn run(app: &App, command: GrantCommand) -> Result<()> {
    match command {
        GrantCommand::List { recipient, status } => list(app, recipient.as_deref(), status).await,
        GrantCommand::Show { id } => show(app, &fetch(&app.client().await?, id).await?),
        GrantCommand::Draft(args) => draft(app, args).await,
        GrantCommand::Approve { id, tx } => {
            let (reviewer, client) = (app.own_address()?, app.client().await?);
            let grant = fetch(&client, id).await?;
            let next = next_of(&grant)?;
            app.confirm(&format!(
                "Say that \"{}\" of grant {id} is reached? It pays {}",
                clean(&next.title),
                xpl_text(&next.amount_uxpl)
            ))?;
            let msg = MsgApproveMilestone {
                reviewer: reviewer.text(),
                grant_id: id,
                milestone: grant.released,
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("\"{}\" of grant {id} is approved", clean(&next.title)));
            Ok(())
        }
        GrantCommand::Return { id, tx } => {
            let (sender, client) = (app.own_address()?, app.client().await?);
            let left = left(&fetch(&client, id).await?);
            app.confirm(&format!("Give {} of grant {id} back?", amount::xpl(left)))?;
            let msg = MsgCancelGrant { sender: sender.text(), grant_id: id };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("{} of grant {id} are given back", amount::xpl(left)));
            Ok(())
        }
        GrantCommand::Pool => {
            let pool = community_pool(&app.client().await?).await?;
            app.out.print(&amount::xpl(pool), &json!({ "pool_uxpl": pool.text() }));
            Ok(())
        }
        GrantCommand::Fund { amount, tx } => {
            let (depositor, client) = (app.own_address()?, app.client().await?);
            let balance = client.spendable(depositor).await?;
            if balance < amount {
                return Err(tx::short_of(balance, "this gift", amount));
            }
            app.confirm(&format!("Give {} to the community?", amount::xpl(amount)))?;
            let msg =
                MsgFundCommunityPool { amount: vec![coin(amount)], depositor: depositor.text() };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("{} given to the community", amount::xpl(amount)));
            Ok(())
        }
    }
}

/// Whole uxpl of the community pool.
async fn community_pool(client: &Client) -> Result<Amount> {
    let path = "/cosmos.distribution.v1beta1.Query/CommunityPool";
    let answer: QueryCommunityPoolResponse =
        client.query(path, &QueryCommunityPoolRequest {}).await?;
    let uxpl = answer.pool.iter().find(|coin| coin.denom == DENOM);
    Ok(uxpl.map_or(Amount::ZERO, |coin| amount::whole(&coin.amount)))
}

async fn fetch(client: &Client, id: u64) -> Result<Grant> {
    let request = QueryGrantRequest { grant_id: id };
    let answer: QueryGrantResponse =
        client.query("/plasma.governance.v1.Query/Grant", &request).await?;
    Ok(answer.grant.unwrap_or_default())
}

/// The milestone that waits.
fn next_of(grant: &Grant) -> Result<&Milestone> {
    let index = usize::try_from(grant.released).unwrap_or(usize::MAX);
    let open = grant.status() == GrantStatus::Open;
    grant.milestones.get(index).filter(|_| open).ok_or_else(|| {
        Failure::usage(format!(
            "no milestone of grant {} waits: it is {}",
            grant.id,
            stage(grant).0
        ))
    })
}

fn total(grant: &Grant) -> Amount {
    grant.milestones.iter().fold(Amount::ZERO, |sum, one| {
        sum.plus(Amount::parse(&one.amount_uxpl).unwrap_or_default()).unwrap_or(sum)
    })
}

/// What is neither paid nor returned.
fn left(grant: &Grant) -> Amount {
    let part = |text: &str| Amount::parse(text).unwrap_or_default();
    let gone = part(&grant.paid_uxpl).plus(part(&grant.returned_uxpl)).unwrap_or_default();
    total(grant).minus(gone).unwrap_or_default()
}

fn stage(grant: &Grant) -> (&'static str, Tone) {
    match grant.status() {
        GrantStatus::Open => ("open", Tone::Strong),
        GrantStatus::Done => ("done", Tone::Good),
        GrantStatus::Cancelled => ("cancelled", Tone::Dim),
        GrantStatus::Expired => ("expired", Tone::Bad),
        GrantStatus::Unspecified => ("unknown", Tone::Dim),
    }
}

async fn list(app: &App, recipient: Option<&str>, status: Option<Stage>) -> Result<()> {
    let recipient = recipient.map(|text| app.address(text)).transpose()?;
    let recipient = recipient.map(|address| address.text()).unwrap_or_default();
    let status = status.map_or(GrantStatus::Unspecified, Stage::status);
    let client = app.client().await?;
    let mut found = all_pages!(
        client,
        "/plasma.governance.v1.Query/Grants",
        QueryGrantsResponse,
        grants,
        |pagination| {
            QueryGrantsRequest { recipient: recipient.clone(), status: status.into(), pagination }
        }
    );
    found.sort_by_key(|grant| std::cmp::Reverse(grant.id));
    let mut table = Table::new(["ID", "STATE", "TITLE", "RECIPIENT", "PAID", "OF", "MILESTONES"]);
    for grant in &found {
        let (word, tone) = stage(grant);
        table.toned([
            (grant.id.to_string(), Tone::Strong),
            (word.to_owned(), tone),
            (clean(&grant.title), Tone::Plain),
            (grant.recipient.clone(), Tone::Plain),
            (xpl_text(&grant.paid_uxpl), Tone::Plain),
            (amount::xpl(total(grant)), Tone::Plain),
            (format!("{} of {}", grant.released, grant.milestones.len()), Tone::Plain),
        ]);
    }
    let json = found.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no grants", &json);
    Ok(())
}

fn show(app: &App, grant: &Grant) -> Result<()> {
    if app.out.is_json() {
        app.out.json(&proto_json(grant)?);
        return Ok(());
    }
    let (word, tone) = stage(grant);
    let mut table = Table::fields();
    table.field_toned("grant", grant.id.to_string(), Tone::Strong);
    table.field("title", clean(&grant.title));
    table.field_toned("state", word, tone);
    table.field("recipient", &grant.recipient);
    table.field("paid", format!("{} of {}", xpl_text(&grant.paid_uxpl), amount::xpl(total(grant))));
    table.field("returned", xpl_text(&grant.returned_uxpl));
    if grant.deadline_unix_s > 0 {
        table.field("until", utc(grant.deadline_unix_s));
    }
    if grant.reviewers.is_empty() {
        table.field("released by", "a vote");
    } else {
        table.field("released by", format!("{} of its reviewers, or a vote", grant.threshold));
    }
    for reviewer in &grant.reviewers {
        let said = if grant.approvals.contains(reviewer) { " (approved the next)" } else { "" };
        table.field("reviewer", format!("{reviewer}{said}"));
    }
    app.out.table(&table, "", &());
    let mut table = Table::new(["MILESTONE", "TITLE", "PAYS", "STATE"]);
    let released = usize::try_from(grant.released).unwrap_or(usize::MAX);
    for (index, one) in grant.milestones.iter().enumerate() {
        let state = match (index.cmp(&released), grant.status()) {
            (std::cmp::Ordering::Less, _) => "paid",
            (std::cmp::Ordering::Equal, GrantStatus::Open) => "next",
            (_, GrantStatus::Open) => "later",
            _ => "never",
        };
        table.row([
            (index + 1).to_string(),
            clean(&one.title),
            xpl_text(&one.amount_uxpl),
            state.to_owned(),
        ]);
    }
    app.out.print(&format!("\n{}", table.render(false).trim_end()), &());
    Ok(())
}

async fn draft(app: &App, args: DraftArgs) -> Result<()> {
    let DraftArgs { recipient, title, milestones, reviewers, threshold, within } = args;
    let recipient = app.address(&recipient)?;
    let reviewers = reviewers
        .iter()
        .map(|text| Ok(app.address(text)?.text()))
        .collect::<Result<Vec<String>>>()?;
    let count = u32::try_from(reviewers.len()).unwrap_or(u32::MAX);
    let threshold = threshold.unwrap_or(count);
    if threshold > count || (threshold == 0 && count > 0) {
        return Err(Failure::usage(format!(
            "{threshold} approvals of {count} reviewers: at least one, at most all"
        )));
    }
    let deadline_unix_s = match within {
        Some(span) => app.client().await?.status().await?.time_s.saturating_add(span.as_secs()),
        None => 0,
    };
    let msg = MsgCreateGrant {
        authority: authority().text(),
        recipient: recipient.text(),
        title,
        milestones,
        reviewers,
        threshold,
        deadline_unix_s,
    };
    // A file for `xpl gov submit`, in every output format.
    let message = proto_json(&any(&msg))?;
    let text = serde_json::to_string_pretty(&json!([message.clone()])).unwrap_or_default();
    app.out.print(&text, &json!([message]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_are_read() {
        let read = milestone("Design = stage 1=500xpl").unwrap();
        assert_eq!(
            (read.title.as_str(), read.amount_uxpl.as_str()),
            ("Design = stage 1", "500000000")
        );
        for bad in ["Design", "=5xpl", "Design=5", "Design="] {
            assert!(milestone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_milestone_and_what_is_left() {
        let part = |title: &str, amount: &str| Milestone {
            title: title.into(),
            amount_uxpl: amount.into(),
        };
        let mut grant = Grant {
            id: 3,
            milestones: vec![part("a", "100"), part("b", "200")],
            released: 1,
            paid_uxpl: "100".into(),
            status: GrantStatus::Open.into(),
            ..Grant::default()
        };
        assert_eq!(next_of(&grant).unwrap().title, "b");
        assert_eq!(left(&grant).units(), 200);
        grant.status = GrantStatus::Expired.into();
        assert!(next_of(&grant).unwrap_err().message.contains("expired"));
    }
}
