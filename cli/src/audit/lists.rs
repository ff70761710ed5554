//! Lists of audits, of those who judge, and of what they owe.

use clap::ValueEnum;
use plasma_modules::attestation::audit::Error;
use plasma_modules::types::hex;
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use plasma_proto::plasma::attestation::v1::{
    AuditState, Drift, DutyKind, PoolMember, QueryAuditsRequest, QueryAuditsResponse,
    QueryDutiesRequest, QueryDutiesResponse, QueryPoolRequest, QueryPoolResponse,
    QueryStandingRequest, QueryStandingResponse, Standing,
};

use super::profile::of_model;
use super::refused;
use super::words::{finding_word, reason_words, state_word, until};
use crate::App;
use crate::amount::{self, thousands, xpl_text};
use crate::error::{Failure, Result};
use crate::node::utc;
use crate::output::{Table, Tone, proto_json};
use crate::query::{ID_CHARS, all_pages, bps, model_name};

/// States of an audit, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Waits for the beacons that may select it
    Lot,
    /// The provider must show its evidence
    Reveal,
    /// Each juror must commit to a verdict
    Commit,
    /// Each juror must open it
    Verdict,
    /// Found false; the provider may appeal
    Appeal,
    /// Over
    Ended,
}

impl From<State> for AuditState {
    fn from(state: State) -> Self {
        match state {
            State::Lot => Self::Lot,
            State::Reveal => Self::Reveal,
            State::Commit => Self::Commit,
            State::Verdict => Self::Verdict,
            State::Appeal => Self::Appeal,
            State::Ended => Self::Ended,
        }
    }
}

/// Which audits are listed: of one state, one provider or one juror; all if nothing is said.
#[derive(Debug, Default)]
pub struct Which<'a> {
    /// In this state.
    pub state: Option<State>,
    /// Of claims of this provider.
    pub operator: Option<&'a str>,
    /// With a seat of this juror.
    pub juror: Option<&'a str>,
}

/// Lists audits, newest first.
///
/// # Errors
/// If an account is none, or no node answers.
pub async fn audits(app: &App, which: Which<'_>, limit: u64) -> Result<()> {
    let Which { state, operator, juror } = which;
    let request = QueryAuditsRequest {
        state: state.map_or(0, |state| AuditState::from(state).into()),
        operator: app.address_or_none(operator)?,
        juror: app.address_or_none(juror)?,
        pagination: Some(PageRequest { limit, reverse: true, ..PageRequest::default() }),
    };
    let client = app.client().await?;
    let path = "/plasma.attestation.v1.Query/Audits";
    let answer: QueryAuditsResponse = client.query(path, &request).await?;
    let mut table =
        Table::new(["JOB", "STATE", "FINDING", "REASON", "PROVIDER", "CHARGE", "UNTIL"]);
    for audit in &answer.audits {
        let (state, tone) = state_word(audit.state());
        let (finding, found) = finding_word(audit.finding());
        let ends = match audit.state() {
            AuditState::Ended => utc(audit.ended_s),
            _ => until(audit.due_height, audit.due_s),
        };
        table.toned([
            (audit.id.to_string(), Tone::Strong),
            (state.to_owned(), tone),
            (finding.to_owned(), found),
            (reason_words(audit.reason()).to_owned(), Tone::Plain),
            (audit.provider.clone(), Tone::Plain),
            (xpl_text(&audit.charge_uxpl), Tone::Plain),
            (ends, Tone::Dim),
        ]);
    }
    let json = answer.audits.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no audits", &json);
    Ok(())
}

/// What is to be done, as a word.
fn duty_words(kind: DutyKind) -> &'static str {
    match kind {
        DutyKind::Unspecified => "unknown",
        DutyKind::Reveal => "show evidence",
        DutyKind::Commit => "judge",
        DutyKind::Verdict => "open the verdict",
    }
}

/// Lists what an operator owes open audits.
///
/// # Errors
/// If the account is none, or no node answers.
pub async fn duties(app: &App, operator: Option<&str>) -> Result<()> {
    let operator = operator.map_or_else(|| app.own_address(), |text| app.address(text))?.text();
    let client = app.client().await?;
    let duties = all_pages!(
        client,
        "/plasma.attestation.v1.Query/Duties",
        QueryDutiesResponse,
        duties,
        |pagination| { QueryDutiesRequest { operator: operator.clone(), pagination } }
    );
    let mut table = Table::new(["JOB", "DUTY", "MODEL", "BEFORE"]);
    for duty in &duties {
        let audit = duty.audit.clone().unwrap_or_default();
        table.toned([
            (audit.id.to_string(), Tone::Strong),
            (duty_words(duty.kind()).to_owned(), Tone::Warn),
            (hex(&audit.model_id).chars().take(ID_CHARS).collect(), Tone::Dim),
            (until(duty.due_height, duty.due_s), Tone::Plain),
        ]);
    }
    let json = duties.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "nothing is owed", &json);
    Ok(())
}

/// Lists who judges a model's claims.
///
/// # Errors
/// If there is no such model, it has no profile, or no node answers.
pub async fn pool(app: &App, model: &str, of_proposal: bool) -> Result<()> {
    let client = app.client().await?;
    let (model, stands) = of_model(&client, model).await?;
    let is_proposed = stands.profile.as_ref().is_some_and(|stands| stands.proposal.is_some());
    if of_proposal && !is_proposed {
        let message = format!("no profile is proposed for {}", model_name(&model));
        return Err(refused(&Error::WrongProfile, message));
    }
    let model_id = hex(&model.model_id);
    let members: Vec<PoolMember> = all_pages!(
        client,
        "/plasma.attestation.v1.Query/Pool",
        QueryPoolResponse,
        members,
        |pagination| { QueryPoolRequest { model_id: model_id.clone(), pagination, of_proposal } }
    );
    let mut table = Table::new(["OPERATOR", "JOINED"]);
    for PoolMember { operator, joined_height, .. } in &members {
        table.row([operator.clone(), format!("block {}", thousands((*joined_height).into()))]);
    }
    let json = members.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "nobody judges this model:  gpu-node jury join MODEL_ID", &json);
    if !stands.is_verified {
        app.out.note("too few: claims of this model are not audited");
    }
    Ok(())
}

/// Shows what audits found of an operator, and how often it is audited.
///
/// # Errors
/// If there is no such provider, or no node answers.
pub async fn standing(app: &App, operator: Option<&str>) -> Result<()> {
    let operator = operator.map_or_else(|| app.own_address(), |text| app.address(text))?;
    let client = app.client().await?;
    let request = QueryStandingRequest { operator: operator.text() };
    let path = "/plasma.attestation.v1.Query/Standing";
    let found: Option<QueryStandingResponse> = client.find(path, &request).await?;
    let answer = found.ok_or_else(|| {
        Failure::refused("market", 5, format!("{operator} is no provider"))
            .hint("see the providers with  xpl provider list")
    })?;
    let found = answer.standing.clone().unwrap_or_default();
    let Standing { clean_uxpl, audits_clean, audits_convicted, audits_open_ended, .. } = &found;
    let mut table = Table::fields();
    table.field_toned("provider", operator.text(), Tone::Strong);
    let next = if found.is_audited_next { ", and the next one in any case" } else { "" };
    table.field("rate", format!("{} of its claims are audited{next}", bps(answer.rate_bps)));
    table.field("found clean", xpl_text(clean_uxpl));
    let count = |number: &u64| thousands((*number).into());
    let (clean, open) = (count(audits_clean), count(audits_open_ended));
    let convicted = count(audits_convicted);
    let tone = if *audits_convicted > 0 { Tone::Bad } else { Tone::Plain };
    table.field_toned("audits", format!("{clean} clean, {convicted} convicted, {open} open"), tone);
    let [at_risk, carries] =
        [&answer.at_risk_uxpl, &answer.carries_uxpl].map(|uxpl| xpl_text(uxpl));
    for Drift { model_id, score_micro, margin_score_micro, audits, .. } in &answer.drifts {
        let of = |sum: &u64| amount::share((*sum).into(), answer.drift_limit_micro.into());
        let model: String = hex(model_id).chars().take(ID_CHARS).collect();
        let text = format!(
            "of {model}: weights {}, tokens {} of what convicts, over {} audits; as large a part of its claims is audited",
            of(score_micro),
            of(margin_score_micro),
            count(audits)
        );
        table.field_toned("small deviations", text, Tone::Warn);
    }
    table.field(
        "at risk",
        format!("{at_risk} of at most {carries}; above it every claim is audited"),
    );
    app.out.table(&table, "", &proto_json(&answer)?);
    Ok(())
}
