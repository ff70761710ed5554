//! `xpl dispute` and `xpl appeal`: for those who do not accept a claim, or a conviction.

use std::time::Duration;

use clap::Args;
use gpu_node::client::{Client, TxOutcome, any};
use plasma_modules::Amount;
use plasma_modules::attestation::audit::Error;
use plasma_proto::plasma::attestation::v1::{
    Audit, AuditParams, AuditReason, AuditState, Finding, MsgAppeal, MsgDispute,
    QueryProfileResponse,
};
use plasma_proto::plasma::market::v1::{Job, JobState};

use crate::App;
use crate::amount::{self, xpl, xpl_text};
use crate::audit::{self, fetch, refused, until};
use crate::error::{Failure, Result};
use crate::job;
use crate::tx::{self, TxArgs};
use crate::view::state_word;

/// A claim that is to be judged.
#[derive(Debug, Args)]
#[command(after_help = "\
Anybody may dispute a claim whose job is not settled and whose model is verified. With --wait the exit code says how it
ended: 0 if the job was refunded, 1 if the claim was found clean or nobody judged it.")]
pub struct DisputeArgs {
    /// The job's number
    #[arg(value_name = "JOB")]
    job_id: u64,
    /// What you put down, for example 10xpl; the least that the chain takes if left out
    #[arg(long, value_parser = amount::parse, value_name = "AMOUNT")]
    bond: Option<Amount>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    tx: TxArgs,
}

/// A conviction that is to be judged again.
#[derive(Debug, Args)]
#[command(after_help = "\
The provider of the claim appeals, with its operator's key (--from). With --wait the exit code says how it ended: 0 if
the conviction does not stand, 1 if it does.")]
pub struct AppealArgs {
    /// The audit's number, which is the job's
    #[arg(value_name = "AUDIT")]
    audit_id: u64,
    /// What you put down, for example 20xpl; the least that the audit takes if left out
    #[arg(long, value_parser = amount::parse, value_name = "AMOUNT")]
    bond: Option<Amount>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    tx: TxArgs,
}

/// Whether the end is waited for.
#[derive(Debug, Clone, Copy, Args)]
struct Waiting {
    /// Follow the audit to its end
    #[arg(long, short)]
    wait: bool,
    /// With --wait: give up after this long; the audit goes on
    #[arg(long, value_parser = amount::duration, value_name = "TIME", requires = "wait")]
    timeout: Option<Duration>,
}

/// What a dispute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Least bond.
    pub bond: Amount,
    /// The claim can be disputed before this height or this time, unix seconds, has come, whichever is later.
    pub before: (u64, u64),
}

/// What a dispute of a job's claim takes now.
///
/// # Errors
/// Why there can be none, by the rule that would refuse it; if no node answers.
pub async fn terms(client: &Client, job: &Job) -> Result<Terms> {
    let audit = audit::find(client, job.id).await?.and_then(|found| found.audit);
    let profile = audit::profile(client, &job.model_id).await?;
    let params = audit::params(client).await?;
    judge(job, audit.as_ref(), profile.as_ref(), &params)
}

/// [`terms`], by what the chain holds.
fn judge(
    job: &Job,
    audit: Option<&Audit>,
    profile: Option<&QueryProfileResponse>,
    params: &AuditParams,
) -> Result<Terms> {
    let id = job.id;
    let waits_for_lot = audit
        .filter(|audit| audit.state() == AuditState::Lot && audit.reason() != AuditReason::Dispute);
    if let (Some(audit), None) = (audit, waits_for_lot) {
        let is = match audit.state() {
            AuditState::Ended => "was audited",
            _ => "is audited already",
        };
        return Err(refused(&Error::IsAudited(id), format!("the claim of job {id} {is}"))
            .hint(format!("see it:  xpl audit show {id}")));
    }
    match job.state() {
        JobState::Delivered => {}
        JobState::Settled | JobState::Refunded => {
            let word = state_word(job.state()).0;
            return Err(refused(
                &Error::NotDelivered(id),
                format!("job {id} is {word}: it can be disputed no more"),
            )
            .hint("a claim can be disputed from its delivery to its settlement"));
        }
        state => {
            let word = state_word(state).0;
            let message = format!("job {id} has no claim to dispute yet: it is {word}");
            return Err(refused(&Error::NotDelivered(id), message)
                .hint(format!("wait for it:  xpl job watch {id}")));
        }
    }
    let members = |answer: &QueryProfileResponse| {
        answer.profile.as_ref().map_or(0, |profile| profile.members)
    };
    let missing = match profile {
        Some(profile) if profile.is_verified => None,
        Some(profile) => Some(format!(
            "{} operators can judge it, {} are needed",
            members(profile),
            params.pool_min
        )),
        None => Some("its publisher has set no profile".to_owned()),
    };
    if let Some(why) = missing {
        let message = format!("the model of job {id} is not verified: {why}");
        return Err(refused(&Error::NotVerified, message)
            .hint("claims of such a model are paid unaudited; prefer one whose  xpl audit profile  says verified"));
    }
    let before = match waits_for_lot {
        Some(audit) => (audit.due_height, audit.due_s),
        None => window_end(job),
    };
    Ok(Terms { bond: params.dispute_bond_uxpl.into(), before })
}

/// When the dispute window of a delivered job ends: at the first block at or past both.
pub fn window_end(job: &Job) -> (u64, u64) {
    let window = job.terms.unwrap_or_default();
    (
        job.delivered_height.saturating_add(window.dispute_window_blocks),
        job.delivered_s.saturating_add(window.dispute_window_s),
    )
}

/// The bond that is put down: as asked for, or the least.
fn bond(asked: Option<Amount>, least: Amount) -> Result<Amount> {
    match asked {
        Some(bond) if bond < least => Err(refused(
            &Error::SmallBond { bond, least },
            format!("the bond is {}, it must be {} at least", xpl(bond), xpl(least)),
        )
        .hint("leave --bond out to put down the least")),
        asked => Ok(asked.unwrap_or(least)),
    }
}

/// Runs `xpl dispute`.
///
/// # Errors
/// If the chain refuses or would; with `--wait`, if the job was not refunded in the end.
pub async fn dispute(app: &App, args: DisputeArgs) -> Result<()> {
    let DisputeArgs { job_id, bond: asked, waiting, tx } = args;
    let (disputer, client) = (app.own_address()?, app.client().await?);
    let (job, _) = job::fetch(&client, job_id).await?;
    let Terms { bond: least, before: (height, time_s) } = terms(&client, &job).await?;
    let bond = bond(asked, least)?;
    app.out.note(&format!(
        "job     {job_id}, by {} for {}\nbond    {}; half goes to the provider, half to the jurors if they find the claim clean\nuntil   {}",
        job.provider,
        xpl_text(&job.charge_uxpl),
        xpl(bond),
        until(height, time_s)
    ));
    let msg = any(&MsgDispute { disputer: disputer.text(), job_id, bond_uxpl: bond.text() });
    let done = format!("the claim of job {job_id} is disputed with {}", xpl(bond));
    tx::check_funds(&client, disputer, "the bond needs", bond, &msg, &tx).await?;
    let outcome = tx::send(app, &client, msg, &tx).await?;
    finish(app, &client, job_id, &outcome, &done, waiting, lost_dispute).await
}

/// Runs `xpl appeal`.
///
/// # Errors
/// If the chain refuses or would; with `--wait`, if the conviction stands in the end.
pub async fn appeal(app: &App, args: AppealArgs) -> Result<()> {
    let AppealArgs { audit_id, bond: asked, waiting, tx } = args;
    let (operator, client) = (app.own_address()?, app.client().await?);
    let audit = fetch(&client, audit_id).await?.audit.unwrap_or_default();
    appealable(&audit, &operator.text())?;
    let least = audit.params.unwrap_or_default().appeal_bond_uxpl.into();
    let bond = bond(asked, least)?;
    app.out.note(&format!(
        "audit   {audit_id}; a conviction costs {}\nbond    {}; the jurors', if the larger jury finds the claim false too\nuntil   {}",
        xpl_text(&audit.slash_uxpl),
        xpl(bond),
        until(audit.due_height, audit.due_s)
    ));
    let msg = any(&MsgAppeal { operator: operator.text(), audit_id, bond_uxpl: bond.text() });
    let done = format!("audit {audit_id} is appealed with {}", xpl(bond));
    tx::check_funds(&client, operator, "the bond needs", bond, &msg, &tx).await?;
    let outcome = tx::send(app, &client, msg, &tx).await?;
    finish(app, &client, audit_id, &outcome, &done, waiting, lost_appeal).await
}

/// What the chain would refuse an appeal for.
fn appealable(audit: &Audit, operator: &str) -> Result<()> {
    let id = audit.id;
    let see = format!("see it:  xpl audit show {id}");
    if audit.provider != operator {
        let message = format!("the claim of job {id} is {}'s", audit.provider);
        return Err(refused(&Error::NotAudited, message)
            .hint("use the operator's key that made it, by --from"));
    }
    let why = match (audit.state(), audit.round) {
        (AuditState::Appeal, 0) => return Ok(()),
        (AuditState::Appeal, _) => "waits for a larger jury already",
        (AuditState::Ended, _) => "has ended",
        (_, 0) => "has convicted nobody yet",
        _ => "is judged by the larger jury already",
    };
    Err(refused(&Error::WrongPhase(""), format!("audit {id} {why}")).hint(see))
}

/// Says what was done, or follows the audit to its end; `lost` says why that is not what was asked for.
async fn finish(
    app: &App,
    client: &Client,
    id: u64,
    outcome: &TxOutcome,
    done: &str,
    Waiting { wait, timeout }: Waiting,
    lost: fn(&Audit) -> Option<String>,
) -> Result<()> {
    if !wait {
        let next = format!("{done}\n  to follow it:  xpl audit watch {id}");
        tx::done(app, outcome, &next);
        return Ok(());
    }
    app.out.note(&format!("{done}: transaction {} in block {}", outcome.hash, outcome.height));
    let ended = audit::watch(app, client, id, timeout).await?;
    audit::show(app, &ended, None)?;
    match lost(&ended.audit.unwrap_or_default()) {
        None => Ok(()),
        Some(why) => Err(Failure::unsuccessful(why)),
    }
}

fn lost_dispute(audit: &Audit) -> Option<String> {
    let bond = xpl_text(&audit.dispute_bond_uxpl);
    match audit.finding() {
        Finding::Convicted | Finding::Hidden | Finding::Drifted | Finding::Hung => None,
        Finding::Clean => Some(format!(
            "the claim of job {} was found clean: the bond of {bond} is lost",
            audit.id
        )),
        Finding::Silent | Finding::NoJury | Finding::Unspecified => Some(format!(
            "nobody has judged the claim of job {}: the bond of {bond} came back",
            audit.id
        )),
    }
}

fn lost_appeal(audit: &Audit) -> Option<String> {
    let slashed = xpl_text(&audit.slashed_uxpl);
    matches!(audit.finding(), Finding::Convicted | Finding::Drifted)
        .then(|| format!("the conviction of audit {} stands: {slashed} were slashed", audit.id))
}

#[cfg(test)]
mod tests {
    use plasma_proto::plasma::attestation::v1::ModelProfile;
    use plasma_proto::plasma::market::v1::JobTerms;

    use super::*;

    fn job(state: JobState) -> Job {
        let terms =
            JobTerms { dispute_window_blocks: 100, dispute_window_s: 600, ..JobTerms::default() };
        let terms = Some(terms);
        Job {
            id: 7,
            state: state.into(),
            delivered_height: 50,
            delivered_s: 1_000,
            terms,
            ..Job::default()
        }
    }

    fn audit(state: AuditState, reason: AuditReason) -> Audit {
        let (state, reason) = (state.into(), reason.into());
        Audit {
            id: 7,
            state,
            reason,
            provider: "xpl1abc".into(),
            due_height: 83,
            ..Audit::default()
        }
    }

    fn profile(members: u32, is_verified: bool) -> QueryProfileResponse {
        let profile = Some(ModelProfile { members, ..ModelProfile::default() });
        QueryProfileResponse { profile, is_verified }
    }

    #[test]
    fn a_claim_is_disputed_until_it_is_settled_or_drawn() {
        let verified = profile(5, true);
        let params =
            AuditParams { pool_min: 5, dispute_bond_uxpl: 10_000_000, ..AuditParams::default() };
        let judge = |job: &Job, audit: Option<&Audit>, profile: Option<&QueryProfileResponse>| {
            super::judge(job, audit, profile, &params)
        };
        let delivered = job(JobState::Delivered);
        let bond = Amount::new(10_000_000);
        assert_eq!(
            judge(&delivered, None, Some(&verified)).unwrap(),
            Terms { bond, before: (150, 1_600) }
        );
        let lot = audit(AuditState::Lot, AuditReason::Lot);
        let held = judge(&delivered, Some(&lot), Some(&verified)).unwrap();
        assert_eq!(held, Terms { bond, before: (83, 0) }, "it waits for its lot");

        let why = |job: &Job, audit: Option<&Audit>, profile: Option<&QueryProfileResponse>| {
            let failure = judge(job, audit, profile).unwrap_err();
            (failure.codespace, failure.code, failure.message)
        };
        let refused = |code, message: &str| ("audit".to_owned(), code, message.to_owned());
        for (state, message) in [
            (JobState::Settled, "job 7 is settled: it can be disputed no more"),
            (JobState::Refunded, "job 7 is refunded: it can be disputed no more"),
            (JobState::Assigned, "job 7 has no claim to dispute yet: it is assigned"),
        ] {
            assert_eq!(why(&job(state), None, Some(&verified)), refused(15, message));
        }
        for (state, reason, message) in [
            (AuditState::Lot, AuditReason::Dispute, "the claim of job 7 is audited already"),
            (AuditState::Commit, AuditReason::Lot, "the claim of job 7 is audited already"),
            (AuditState::Ended, AuditReason::Lot, "the claim of job 7 was audited"),
        ] {
            let found = why(&delivered, Some(&audit(state, reason)), Some(&verified));
            assert_eq!(found, refused(17, message));
        }
        let few = "the model of job 7 is not verified: 4 operators can judge it, 5 are needed";
        assert_eq!(why(&delivered, None, Some(&profile(4, false))), refused(16, few));
        let none = "the model of job 7 is not verified: its publisher has set no profile";
        assert_eq!(why(&delivered, None, None), refused(16, none));
    }

    #[test]
    fn bonds_are_the_least_or_more() {
        let [small, least, large] = [1, 2, 3].map(Amount::new);
        assert_eq!(bond(None, least), Ok(least));
        assert_eq!(bond(Some(large), least), Ok(large));
        let failure = bond(Some(small), least).unwrap_err();
        assert_eq!((failure.codespace.as_str(), failure.code), ("audit", 18));
    }

    #[test]
    fn who_is_convicted_appeals_once() {
        let convicted = audit(AuditState::Appeal, AuditReason::Lot);
        assert_eq!(appealable(&convicted, "xpl1abc"), Ok(()));
        let code = |audit: &Audit, operator| appealable(audit, operator).unwrap_err().code;
        assert_eq!(code(&convicted, "xpl1other"), 22);
        let appealed = Audit { round: 1, ..convicted };
        assert_eq!(code(&appealed, "xpl1abc"), 20);
        for state in [AuditState::Lot, AuditState::Commit, AuditState::Ended] {
            assert_eq!(code(&audit(state, AuditReason::Lot), "xpl1abc"), 20);
        }
    }

    #[test]
    fn the_exit_code_says_who_won() {
        let ended = |finding: Finding| Audit { finding: finding.into(), ..Audit::default() };
        for finding in [Finding::Convicted, Finding::Hidden, Finding::Hung] {
            assert_eq!(lost_dispute(&ended(finding)), None);
        }
        for finding in [Finding::Clean, Finding::Silent, Finding::NoJury] {
            assert!(lost_dispute(&ended(finding)).is_some());
            assert_eq!(lost_appeal(&ended(finding)), None);
        }
        assert!(lost_appeal(&ended(Finding::Convicted)).is_some());
    }
}
