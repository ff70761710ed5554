//! `xpl gov`: what is proposed, and who wants it.

use clap::{Args, Subcommand, ValueEnum};
use gpu_node::client::{Client, DENOM, any};
use plasma_modules::msg::Msg;
use plasma_modules::{Address, Amount};
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::cosmos::gov::v1::{
    MsgCancelProposal, MsgDeposit, MsgSubmitProposal, MsgVote, MsgVoteWeighted, Params, Proposal,
    ProposalStatus, QueryParamsRequest, QueryParamsResponse, QueryProposalRequest,
    QueryProposalResponse, QueryProposalsRequest, QueryProposalsResponse, QueryTallyResultRequest,
    QueryTallyResultResponse, QueryVotesRequest, QueryVotesResponse, TallyResult, VoteOption,
    WeightedVoteOption,
};
use plasma_proto::cosmos::staking::v1beta1::{QueryPoolRequest, QueryPoolResponse};
use serde_json::{Value, json};

use crate::App;
use crate::amount::{self, fraction, percent, share, xpl_text};
use crate::authz::{message_list, text_of};
use crate::error::{Failure, Result, explain};
use crate::node::{seconds, utc};
use crate::output::{Table, Tone, clean, proto_from_json, proto_json};
use crate::query::all_pages;
use crate::tx::{self, TxArgs, coin, done, outcome_json};

/// Name of the account that carries proposals out.
const GOV: &str = "gov";
/// Most options of one vote.
const OPTIONS_MAX: usize = 4;
/// The whole of a vote's weight.
const WHOLE: u128 = 1_000_000_000_000_000_000;

/// Proposals.
#[derive(Debug, Subcommand)]
pub enum GovCommand {
    /// What is proposed, newest first
    List {
        /// Those in this state alone
        #[arg(long, value_enum)]
        status: Option<Stage>,
    },
    /// One proposal: what it would do, and how the vote stands
    Show {
        /// Its number
        id: u64,
    },
    /// Propose something
    #[command(after_help = "\
Without a file it is a text that is voted on. A file holds what the chain does when it passes: one
message or a list, in the JSON form of transactions, signed by the governance account, which
`xpl gov authority` prints:
  {\"@type\": \"/cosmos.distribution.v1beta1.MsgCommunityPoolSpend\", \"authority\": \"xpl1...\",
   \"recipient\": \"xpl1...\", \"amount\": [{\"denom\": \"uxpl\", \"amount\": \"5000000\"}]}
It is carried out as a whole or not at all.")]
    Submit(SubmitArgs),
    /// Add to a proposal's deposit; it is voted on once the deposit is whole
    Deposit {
        /// Its number
        id: u64,
        /// For example 5xpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Vote, with all your stake or with parts of it; a later vote replaces it
    Vote {
        /// The proposal's number
        id: u64,
        /// yes, no, abstain or veto; or parts of your stake: yes=70% no=30%
        #[arg(required = true, num_args = 1..=OPTIONS_MAX)]
        options: Vec<String>,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Take your own proposal back; part of the deposit is lost
    Cancel {
        /// Its number
        id: u64,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Who voted how on a proposal that is being voted on
    Votes {
        /// Its number
        id: u64,
    },
    /// The rules of deposits and votes
    Params,
    /// The address that carries proposals out, for the messages of a proposal
    Authority,
}

/// Where a proposal is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Stage {
    /// Its deposit is not whole yet
    Deposit,
    /// It is being voted on
    Voting,
    /// Accepted and carried out
    Passed,
    /// Not accepted
    Rejected,
    /// Accepted, and could not be carried out
    Failed,
}

impl Stage {
    fn status(self) -> ProposalStatus {
        match self {
            Self::Deposit => ProposalStatus::DepositPeriod,
            Self::Voting => ProposalStatus::VotingPeriod,
            Self::Passed => ProposalStatus::Passed,
            Self::Rejected => ProposalStatus::Rejected,
            Self::Failed => ProposalStatus::Failed,
        }
    }
}

/// A proposal to make.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// What the chain is to do: a file of messages, - for standard input; a text alone if left out
    file: Option<String>,
    /// A line
    #[arg(long)]
    title: String,
    /// Why
    #[arg(long)]
    summary: String,
    /// What you pay in at once; it comes back unless the proposal is vetoed
    #[arg(long, value_parser = amount::parse, value_name = "AMOUNT")]
    deposit: Amount,
    /// Where more about it is found
    #[arg(long, default_value = "", hide_default_value = true)]
    metadata: String,
    /// A short vote with a higher bar
    #[arg(long)]
    expedited: bool,
    #[command(flatten)]
    tx: TxArgs,
}

/// Runs `xpl gov`.
///
/// # Errors
/// If the chain refuses, or there is no such proposal.
pub async fn run(app: &App, command: GovCommand) -> Result<()> {
    match command {
        GovCommand::List { status } => list(app, status).await,
        GovCommand::Show { id } => show(app, id).await,
        GovCommand::Submit(args) => submit(app, args).await,
        GovCommand::Deposit { id, amount, tx } => {
            let (depositor, client) = (app.own_address()?, app.client().await?);
            let msg = MsgDeposit {
                proposal_id: id,
                depositor: depositor.text(),
                amount: vec![coin(amount)],
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("{} deposited on proposal {id}", amount::xpl(amount)));
            Ok(())
        }
        GovCommand::Vote { id, options, tx } => {
            let options = ballot(&options)?;
            let (voter, client) = (app.own_address()?.text(), app.client().await?);
            let words = options.iter().map(part_words).collect::<Vec<_>>().join(", ");
            let msg = match options.as_slice() {
                [only] => {
                    let metadata = String::new();
                    any(&MsgVote { proposal_id: id, voter, option: only.option, metadata })
                }
                _ => any(&MsgVoteWeighted {
                    proposal_id: id,
                    voter,
                    options,
                    metadata: String::new(),
                }),
            };
            let outcome = tx::send(app, &client, msg, &tx).await?;
            done(app, &outcome, &format!("voted on proposal {id}: {words}"));
            Ok(())
        }
        GovCommand::Cancel { id, tx } => {
            let (proposer, client) = (app.own_address()?.text(), app.client().await?);
            let lost = params(&client).await?.proposal_cancel_ratio;
            app.confirm(&format!(
                "Take proposal {id} back? {} of the deposit is lost",
                percent(&lost)
            ))?;
            let msg = MsgCancelProposal { proposal_id: id, proposer };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("proposal {id} is taken back"));
            Ok(())
        }
        GovCommand::Votes { id } => votes(app, id).await,
        GovCommand::Params => show_params(app).await,
        GovCommand::Authority => {
            let address = authority().text();
            app.out.print(&address, &json!({ "authority": address }));
            Ok(())
        }
    }
}

/// The account that carries proposals out.
pub fn authority() -> Address {
    Address::of_module(GOV)
}

fn uxpl(coins: &[Coin]) -> String {
    let found = coins.iter().find(|coin| coin.denom == DENOM);
    found.map_or_else(|| "0".to_owned(), |coin| coin.amount.clone())
}

fn stage(proposal: &Proposal) -> (&'static str, Tone) {
    match proposal.status() {
        ProposalStatus::DepositPeriod => ("deposit", Tone::Warn),
        ProposalStatus::VotingPeriod => ("voting", Tone::Strong),
        ProposalStatus::Passed => ("passed", Tone::Good),
        ProposalStatus::Rejected => ("rejected", Tone::Dim),
        ProposalStatus::Failed => ("failed", Tone::Bad),
        ProposalStatus::Unspecified => ("unknown", Tone::Dim),
    }
}

const fn option_word(option: VoteOption) -> &'static str {
    match option {
        VoteOption::Yes => "yes",
        VoteOption::No => "no",
        VoteOption::Abstain => "abstain",
        VoteOption::NoWithVeto => "veto",
        VoteOption::Unspecified => "unknown",
    }
}

fn part_words(part: &WeightedVoteOption) -> String {
    match percent(&part.weight).as_str() {
        "100%" => option_word(part.option()).to_owned(),
        weight => format!("{} {weight}", option_word(part.option())),
    }
}

/// Reads `yes`, or `yes=70% no=30%`: parts of the whole, each option once.
fn ballot(texts: &[String]) -> Result<Vec<WeightedVoteOption>> {
    let mut parts: Vec<(VoteOption, u128)> = Vec::new();
    for text in texts {
        let (word, weight) = match text.split_once('=') {
            Some((word, weight)) => (word, fraction(weight).map_err(Failure::usage)?),
            None => (text.as_str(), WHOLE),
        };
        let option = match word.to_ascii_lowercase().replace('-', "_").as_str() {
            "yes" => VoteOption::Yes,
            "no" => VoteOption::No,
            "abstain" => VoteOption::Abstain,
            "veto" | "no_with_veto" => VoteOption::NoWithVeto,
            _ => {
                return Err(Failure::usage(format!("{word:?} is no vote"))
                    .hint("say yes, no, abstain or veto; or parts: yes=70% no=30%"));
            }
        };
        if weight == 0 || parts.iter().any(|(other, _)| *other == option) {
            return Err(Failure::usage(format!("{word} stands twice, or with nothing")));
        }
        parts.push((option, weight));
    }
    let sum = parts.iter().fold(0, |sum: u128, (_, weight)| sum.saturating_add(*weight));
    if sum != WHOLE {
        return Err(Failure::usage(format!(
            "the parts make {}, not 100%",
            percent(&sum.to_string())
        )));
    }
    // Weights are decimals with a point, in protobuf too.
    let decimal = |weight: u128| format!("{}.{:018}", weight / WHOLE, weight % WHOLE);
    let part = |(option, weight): (VoteOption, u128)| WeightedVoteOption {
        option: option.into(),
        weight: decimal(weight),
    };
    Ok(parts.into_iter().map(part).collect())
}

async fn params(client: &Client) -> Result<Params> {
    let request = QueryParamsRequest { params_type: "voting".to_owned() };
    let answer: QueryParamsResponse = client.query("/cosmos.gov.v1.Query/Params", &request).await?;
    Ok(answer.params.unwrap_or_default())
}

async fn list(app: &App, status: Option<Stage>) -> Result<()> {
    let client = app.client().await?;
    let status = status.map_or(ProposalStatus::Unspecified, Stage::status);
    let mut found = all_pages!(
        client,
        "/cosmos.gov.v1.Query/Proposals",
        QueryProposalsResponse,
        proposals,
        |pagination| {
            QueryProposalsRequest {
                proposal_status: status.into(),
                voter: String::new(),
                depositor: String::new(),
                pagination,
            }
        }
    );
    found.sort_by_key(|proposal| std::cmp::Reverse(proposal.id));
    let mut table = Table::new(["ID", "STATE", "TITLE", "DEPOSIT", "UNTIL"]);
    for one in &found {
        let (word, tone) = stage(one);
        let until = match one.status() {
            ProposalStatus::DepositPeriod => utc(seconds(one.deposit_end_time.as_ref())),
            ProposalStatus::VotingPeriod => utc(seconds(one.voting_end_time.as_ref())),
            _ => "-".to_owned(),
        };
        let word = if one.expedited { format!("{word}, expedited") } else { word.to_owned() };
        table.toned([
            (one.id.to_string(), Tone::Strong),
            (word, tone),
            (clean(&one.title), Tone::Plain),
            (xpl_text(&uxpl(&one.total_deposit)), Tone::Plain),
            (until, Tone::Plain),
        ]);
    }
    let json = found.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no proposals", &json);
    Ok(())
}

async fn show(app: &App, id: u64) -> Result<()> {
    let client = app.client().await?;
    let answer: QueryProposalResponse = client
        .query("/cosmos.gov.v1.Query/Proposal", &QueryProposalRequest { proposal_id: id })
        .await?;
    let one = answer.proposal.unwrap_or_default();
    let tally: QueryTallyResultResponse = client
        .query("/cosmos.gov.v1.Query/TallyResult", &QueryTallyResultRequest { proposal_id: id })
        .await?;
    let tally = tally.tally.unwrap_or_default();
    let pool: QueryPoolResponse =
        client.query("/cosmos.staking.v1beta1.Query/Pool", &QueryPoolRequest {}).await?;
    let bonded = number(&pool.pool.unwrap_or_default().bonded_tokens);
    let rules = params(&client).await?;

    let mut json = proto_json(&one)?;
    json["tally"] = proto_json(&tally)?;
    if app.out.is_json() {
        app.out.json(&json);
        return Ok(());
    }
    let (word, tone) = stage(&one);
    let mut table = Table::fields();
    table.field_toned("proposal", id.to_string(), Tone::Strong);
    table.field("title", clean(&one.title));
    table.field_toned("state", word, tone);
    if !one.failed_reason.is_empty() {
        table.field_toned("because", clean(&one.failed_reason), Tone::Bad);
    }
    table.field("proposer", &one.proposer);
    if one.expedited {
        table.field("expedited", "yes: a short vote with a higher bar");
    }
    // A text alone has its title there, see `submit`.
    if !one.metadata.is_empty() && one.metadata != one.title {
        table.field("more", clean(&one.metadata));
    }
    let least = if one.expedited { &rules.expedited_min_deposit } else { &rules.min_deposit };
    table.field(
        "deposit",
        format!("{} of {}", xpl_text(&uxpl(&one.total_deposit)), xpl_text(&uxpl(least))),
    );
    match one.status() {
        ProposalStatus::DepositPeriod => {
            table.field("deposit until", utc(seconds(one.deposit_end_time.as_ref())));
        }
        ProposalStatus::VotingPeriod => {
            table.field("vote until", utc(seconds(one.voting_end_time.as_ref())));
        }
        _ => table.field("voted until", utc(seconds(one.voting_end_time.as_ref()))),
    }
    if one.status() != ProposalStatus::DepositPeriod {
        for (name, value) in standing(&tally, bonded, &rules, one.expedited, one.status()) {
            table.field(name, value);
        }
    }
    app.out.table(&table, "", &());
    app.out.print(&format!("\n{}", clean(&one.summary)), &());
    for (index, message) in one.messages.iter().enumerate() {
        let shown = proto_json(message)?;
        let text = serde_json::to_string_pretty(&shown).unwrap_or_default();
        app.out.print(&format!("\nmessage {}\n{}", index + 1, clean(&text)), &());
    }
    Ok(())
}

fn number(text: &str) -> u128 {
    text.parse().unwrap_or_default()
}

/// How a vote stands, by name: counts, and what of the bars is reached.
fn standing(
    tally: &TallyResult,
    bonded: u128,
    rules: &Params,
    expedited: bool,
    status: ProposalStatus,
) -> Vec<(&'static str, String)> {
    let TallyResult { yes_count, abstain_count, no_count, no_with_veto_count } = tally;
    let [yes, abstain, no, veto] =
        [yes_count, abstain_count, no_count, no_with_veto_count].map(|text| number(text));
    let voted = [yes, abstain, no, veto].iter().fold(0u128, |sum, part| sum.saturating_add(*part));
    let decided = voted.saturating_sub(abstain);
    let bar = if expedited { &rules.expedited_threshold } else { &rules.threshold };
    let each =
        |count: u128, of: u128| format!("{} ({})", xpl_text(&count.to_string()), share(count, of));
    let mut lines = vec![
        ("yes", format!("{}; it takes more than {}", each(yes, decided), percent(bar))),
        ("no", each(no, decided)),
        (
            "veto",
            format!(
                "{}; {} of all votes stop it",
                each(veto, voted),
                percent(&rules.veto_threshold)
            ),
        ),
        ("abstain", xpl_text(&abstain.to_string())),
    ];
    if status == ProposalStatus::VotingPeriod {
        let turnout =
            format!("{} of the stake; it takes {}", share(voted, bonded), percent(&rules.quorum));
        lines.push(("voted", turnout));
    }
    lines
}

async fn submit(app: &App, args: SubmitArgs) -> Result<()> {
    let SubmitArgs { file, title, summary, deposit, metadata, expedited, tx } = args;
    let proposer = app.own_address()?;
    let messages = match &file {
        Some(file) => message_list(&text_of(file)?)?,
        None => Vec::new(),
    };
    // The chain takes no proposal that has neither messages nor metadata.
    let bare = messages.is_empty() && metadata.is_empty();
    let metadata = if bare { title.clone() } else { metadata };
    let msg = json!({
        "messages": messages,
        "initial_deposit": [{ "denom": DENOM, "amount": deposit.text() }],
        "proposer": proposer.text(),
        "metadata": metadata,
        "title": title,
        "summary": summary,
        "expedited": expedited,
    });
    let msg: MsgSubmitProposal = proto_from_json(&msg)?;
    let msg = any(&msg);
    // Said before anything is asked of a node, where it can be.
    Msg::from_any(&msg)
        .map_err(|refusal| explain(refusal.codespace, refusal.code, &refusal.log))?;
    let client = app.client().await?;
    let balance = client.spendable(proposer).await?;
    if balance < deposit {
        return Err(tx::short_of(balance, "this deposit", deposit));
    }
    let outcome = tx::send(app, &client, msg, &tx).await?;
    let id = outcome
        .events
        .iter()
        .filter(|event| event.kind == "submit_proposal")
        .flat_map(|event| &event.attributes)
        .find(|(key, _)| key == "proposal_id")
        .map_or_else(|| "?".to_owned(), |(_, value)| value.clone());
    let mut json: Value = outcome_json(&outcome);
    json["proposal_id"] = id.clone().into();
    let text = format!(
        "proposal {id} is made\n  transaction {} in block {}\n  see it:  xpl gov show {id}",
        outcome.hash, outcome.height
    );
    app.out.done(&text, &json);
    Ok(())
}

async fn votes(app: &App, id: u64) -> Result<()> {
    let client = app.client().await?;
    let found =
        all_pages!(client, "/cosmos.gov.v1.Query/Votes", QueryVotesResponse, votes, |pagination| {
            QueryVotesRequest { proposal_id: id, pagination }
        });
    let mut table = Table::new(["VOTER", "VOTE"]);
    for vote in &found {
        let words = vote.options.iter().map(part_words).collect::<Vec<_>>().join(", ");
        table.toned([(vote.voter.clone(), Tone::Plain), (words, Tone::Strong)]);
    }
    let json = found.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no votes: none was cast, or the vote has ended", &json);
    Ok(())
}

async fn show_params(app: &App) -> Result<()> {
    let rules = params(&app.client().await?).await?;
    let span = |time: Option<&prost_types::Duration>| {
        let seconds = time.map_or(0, |time| time.seconds);
        amount::span(u64::try_from(seconds).unwrap_or_default())
    };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let mut table = Table::fields();
    table.field("deposit", xpl_text(&uxpl(&rules.min_deposit)));
    table.field("of it at once", percent(&rules.min_initial_deposit_ratio));
    table.field("deposit within", span(rules.max_deposit_period.as_ref()));
    table.field("vote lasts", span(rules.voting_period.as_ref()));
    table.field("quorum", percent(&rules.quorum));
    table.field("threshold", percent(&rules.threshold));
    table.field("veto", percent(&rules.veto_threshold));
    table.field("expedited: deposit", xpl_text(&uxpl(&rules.expedited_min_deposit)));
    table.field("expedited: vote lasts", span(rules.expedited_voting_period.as_ref()));
    table.field("expedited: threshold", percent(&rules.expedited_threshold));
    table.field("deposit is burned on veto", yes_no(rules.burn_vote_veto));
    table.field("deposit is burned without quorum", yes_no(rules.burn_vote_quorum));
    table.field("lost by taking back", percent(&rules.proposal_cancel_ratio));
    app.out.table(&table, "", &proto_json(&rules)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Vec<WeightedVoteOption>> {
        ballot(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn votes_are_whole_or_in_parts() {
        let yes = read(&["Yes"]).unwrap();
        assert_eq!(
            (yes[0].option(), yes[0].weight.as_str()),
            (VoteOption::Yes, "1.000000000000000000")
        );
        assert_eq!(part_words(&yes[0]), "yes");
        let parts = read(&["yes=70%", "no-with-veto=0.3"]).unwrap();
        assert_eq!(parts[1].option(), VoteOption::NoWithVeto);
        assert_eq!(parts.iter().map(part_words).collect::<Vec<_>>(), ["yes 70%", "veto 30%"]);
        for bad in [
            &["maybe"][..],
            &["yes", "no"],
            &["yes=50%"],
            &["yes=50%", "yes=50%"],
            &["yes=0", "no"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_vote_is_told_against_its_bars() {
        let tally = TallyResult {
            yes_count: "60000000".into(),
            abstain_count: "20000000".into(),
            no_count: "20000000".into(),
            no_with_veto_count: "0".into(),
        };
        let rules = Params {
            threshold: "0.500000000000000000".into(),
            veto_threshold: "0.334000000000000000".into(),
            quorum: "0.334000000000000000".into(),
            ..Params::default()
        };
        let lines = standing(&tally, 200_000_000, &rules, false, ProposalStatus::VotingPeriod);
        assert_eq!(lines[0].1, "60 XPL (75.00%); it takes more than 50%");
        assert_eq!(lines[4].1, "50.00% of the stake; it takes 33.4%");
    }
}
