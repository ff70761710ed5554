//! An audit in words: where it stands, what it found, who judged.

use plasma_modules::types::hex;
use plasma_proto::plasma::attestation::v1::{Audit, AuditReason, AuditState, Finding, Seat};

use crate::amount::{thousands, xpl_text};
use crate::node::utc;
use crate::output::{Table, Tone};
use crate::query::bps;

/// An audit's state as a word.
pub fn state_word(state: AuditState) -> (&'static str, Tone) {
    match state {
        AuditState::Unspecified => ("unknown", Tone::Dim),
        AuditState::Lot => ("lot", Tone::Plain),
        AuditState::Reveal => ("reveal", Tone::Warn),
        AuditState::Commit => ("commit", Tone::Warn),
        AuditState::Verdict => ("verdict", Tone::Warn),
        AuditState::Appeal => ("appeal", Tone::Bad),
        AuditState::Ended => ("ended", Tone::Good),
    }
}

/// What an audit found, as a word.
pub fn finding_word(finding: Finding) -> (&'static str, Tone) {
    match finding {
        Finding::Unspecified => ("-", Tone::Dim),
        Finding::Clean => ("clean", Tone::Good),
        Finding::Convicted => ("convicted", Tone::Bad),
        Finding::Hidden => ("hidden", Tone::Bad),
        Finding::Hung => ("hung", Tone::Warn),
        Finding::Silent => ("silent", Tone::Warn),
        Finding::NoJury => ("no jury", Tone::Warn),
        Finding::Drifted => ("drifted", Tone::Bad),
    }
}

/// What an audit found, and what followed.
pub fn finding_words(finding: Finding) -> &'static str {
    match finding {
        Finding::Unspecified => "nothing yet",
        Finding::Clean => "found clean: the provider is paid",
        Finding::Convicted => "found false: the job is refunded, the provider slashed",
        Finding::Hidden => {
            "the evidence was not shown in time: the job is refunded, the provider slashed"
        }
        Finding::Hung => "the jury is divided: the job is refunded, nobody is slashed",
        Finding::Silent => "too few jurors spoke: the job goes on to its settlement",
        Finding::NoJury => "there were too few to judge it: the job goes on to its settlement",
        Finding::Drifted => {
            "small deviations of the provider's claims added up: the job is refunded, the provider slashed"
        }
    }
}

/// Why a claim is audited.
pub fn reason_words(reason: AuditReason) -> &'static str {
    match reason {
        AuditReason::Unspecified => "unknown",
        AuditReason::Lot => "by lot",
        AuditReason::Risk => "the provider had more at risk than its bond carries",
        AuditReason::Again => "the audit before this one ended open",
        AuditReason::Dispute => "disputed",
    }
}

/// When a phase ends: at the first block at or past both.
pub fn until(height: u64, seconds: u64) -> String {
    format!("block {} and {}", thousands(height.into()), utc(seconds))
}

/// Leaves by number, as `0, 3, 9`.
fn leaves(audit: &Audit) -> String {
    let leaves: Vec<_> = audit.leaves.iter().map(u32::to_string).collect();
    leaves.join(", ")
}

/// Seats of the round under way.
fn seats(audit: &Audit) -> impl Iterator<Item = &Seat> {
    audit.seats.iter().filter(|seat| seat.round == audit.round)
}

/// What a juror has said.
fn says(seat: &Seat) -> (&'static str, Tone) {
    match &seat.verdict {
        Some(_) if seat.has_not_looked => ("did not look", Tone::Bad),
        Some(verdict) if verdict.pass => ("honest", Tone::Good),
        Some(_) => ("false", Tone::Bad),
        None if !seat.commitment.is_empty() => ("committed", Tone::Plain),
        None => ("-", Tone::Dim),
    }
}

/// Where an audit stands, on one line.
pub fn tell(audit: &Audit) -> String {
    let until = until(audit.due_height, audit.due_s);
    let count = |is: fn(&Seat) -> bool| seats(audit).filter(|seat| is(seat)).count();
    let committed = count(|seat| !seat.commitment.is_empty());
    let what = match audit.state() {
        AuditState::Unspecified => String::new(),
        AuditState::Lot if audit.reason() == AuditReason::Lot => {
            format!("it is drawn whether it is audited, at {until}")
        }
        AuditState::Lot => format!("its jury is drawn at {until}"),
        AuditState::Reveal => {
            format!("{} must show leaves {} before {until}", audit.provider, leaves(audit))
        }
        AuditState::Commit => {
            format!("{committed} of {} jurors committed, before {until}", count(|_| true))
        }
        AuditState::Verdict => format!(
            "{} of {committed} jurors opened: {} honest, {} false, before {until}",
            count(|seat| seat.verdict.is_some()),
            count(|seat| seat.verdict.as_ref().is_some_and(|verdict| verdict.pass)),
            count(|seat| seat.verdict.as_ref().is_some_and(|verdict| !verdict.pass)),
        ),
        AuditState::Appeal if audit.round == 0 && audit.is_drift => {
            format!(
                "small deviations added up; the provider may have it measured again before {until}"
            )
        }
        AuditState::Appeal if audit.round == 0 => {
            format!("found false; the provider may appeal before {until}")
        }
        AuditState::Appeal => format!("a larger jury is drawn at {until}"),
        AuditState::Ended => finding_words(audit.finding()).to_owned(),
    };
    format!("{:<10} {what}", state_word(audit.state()).0)
}

/// Everything about an audit but its jury.
pub fn fields(audit: &Audit) -> Table {
    let (word, tone) = match (audit.state(), audit.finding()) {
        (AuditState::Ended, finding) => ("ended", finding_word(finding).1),
        (state, _) => state_word(state),
    };
    let mut table = Table::fields();
    table.field_toned("audit", audit.id.to_string(), Tone::Strong);
    table.field_toned("state", word, tone);
    match audit.state() {
        AuditState::Ended => table.field_toned("finding", finding_words(audit.finding()), tone),
        _ => table.field("now", tell(audit).split_once(' ').unwrap_or_default().1.trim()),
    }
    table.field("reason", reason_words(audit.reason()));
    table.field("provider", &audit.provider);
    table.field("payer", &audit.payer);
    table.field("model", hex(&audit.model_id));
    table.field("charge", xpl_text(&audit.charge_uxpl));
    table.field("rate", format!("{} of the provider's claims are audited", bps(audit.rate_bps)));
    table.field("claimed", format!("block {}", thousands(audit.claimed_height.into())));
    if audit.params.is_some() {
        if audit.selected_height > 0 {
            table.field("selected", format!("block {}", thousands(audit.selected_height.into())));
        }
        table.field("at risk", xpl_text(&audit.at_risk_uxpl));
        table.field("a conviction costs", xpl_text(&audit.slash_uxpl));
        table.field("a seat locks", xpl_text(&audit.seat_uxpl));
    }
    if !audit.leaves.is_empty() {
        let shown = if audit.is_revealed { "shown" } else { "not shown" };
        table.field("leaves", format!("{} ({shown})", leaves(audit)));
    }
    if !audit.disputer.is_empty() {
        let bond = xpl_text(&audit.dispute_bond_uxpl);
        table.field("disputed by", format!("{} with {bond}", audit.disputer));
    }
    if !audit.appeal_bond_uxpl.is_empty() {
        table.field("appealed", format!("with {}", xpl_text(&audit.appeal_bond_uxpl)));
    }
    if audit.state() == AuditState::Ended {
        table.field("slashed", xpl_text(&audit.slashed_uxpl));
        table.field("shared by jurors", xpl_text(&audit.shared_uxpl));
        let at = format!("block {} ({})", thousands(audit.ended_height.into()), utc(audit.ended_s));
        table.field("ended", at);
    }
    table
}

/// The jury, round by round.
pub fn jury(audit: &Audit) -> Table {
    let mut table = Table::new(["JUROR", "JURY", "LOCKED", "SAYS", "LOST", "EARNED"]);
    let paid = |text: &str| if text.is_empty() { "-".to_owned() } else { xpl_text(text) };
    for seat in &audit.seats {
        let (word, tone) = says(seat);
        let round = if seat.round == 0 { "first" } else { "appeal" };
        table.toned([
            (seat.juror.clone(), Tone::Plain),
            (round.to_owned(), Tone::Plain),
            (xpl_text(&seat.locked_uxpl), Tone::Plain),
            (word.to_owned(), tone),
            (paid(&seat.lost_uxpl), Tone::Plain),
            (paid(&seat.earned_uxpl), Tone::Plain),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use plasma_proto::plasma::attestation::v1::{AuditParams, Verdict};

    use super::*;

    fn seat(juror: &str, commitment: bool, pass: Option<bool>) -> Seat {
        Seat {
            juror: juror.into(),
            commitment: vec![1; if commitment { 32 } else { 0 }],
            verdict: pass.map(|pass| Verdict { pass, ..Verdict::default() }),
            ..Seat::default()
        }
    }

    fn audit(state: AuditState) -> Audit {
        Audit {
            id: 7,
            state: state.into(),
            reason: AuditReason::Dispute.into(),
            provider: "xpl1abc".into(),
            leaves: vec![0, 3, 9],
            seats: vec![
                seat("xpl1a", true, Some(true)),
                seat("xpl1b", true, Some(false)),
                seat("xpl1c", true, None),
                seat("xpl1d", false, None),
                // Of the jury of an appeal, which is not this round's.
                Seat { round: 1, ..seat("xpl1e", true, Some(false)) },
            ],
            due_height: 1_200,
            due_s: 60,
            ..Audit::default()
        }
    }

    #[test]
    fn every_phase_says_what_is_waited_for() {
        let until = "block 1,200 and 1970-01-01T00:01:00Z";
        for (state, line) in [
            (AuditState::Lot, format!("lot        its jury is drawn at {until}")),
            (
                AuditState::Reveal,
                format!("reveal     xpl1abc must show leaves 0, 3, 9 before {until}"),
            ),
            (AuditState::Commit, format!("commit     3 of 4 jurors committed, before {until}")),
            (
                AuditState::Verdict,
                format!("verdict    2 of 3 jurors opened: 1 honest, 1 false, before {until}"),
            ),
            (
                AuditState::Appeal,
                format!("appeal     found false; the provider may appeal before {until}"),
            ),
        ] {
            assert_eq!(tell(&audit(state)), line);
        }
        let ended = Audit { finding: Finding::Hung.into(), ..audit(AuditState::Ended) };
        assert!(tell(&ended).starts_with("ended      the jury is divided"));
        let second = Audit { round: 1, ..audit(AuditState::Commit) };
        assert!(tell(&second).contains("1 of 1 jurors"), "the other jury's seats count");
    }

    #[test]
    fn what_is_shown_grows_with_the_audit() {
        let text = |audit: &Audit| fields(audit).render(false);
        let lot = Audit { leaves: Vec::new(), ..audit(AuditState::Lot) };
        for absent in ["at risk", "leaves", "slashed", "disputed by", "appealed"] {
            assert!(!text(&lot).contains(absent), "{absent}: {}", text(&lot));
        }
        let ended = Audit {
            finding: Finding::Convicted.into(),
            params: Some(AuditParams::default()),
            slash_uxpl: "2500000".into(),
            slashed_uxpl: "2000000".into(),
            disputer: "xpl1dave".into(),
            dispute_bond_uxpl: "10000000".into(),
            ended_height: 5,
            ..audit(AuditState::Ended)
        };
        for shown in ["found false", "2.5 XPL", "2 XPL", "xpl1dave with 10 XPL", "0, 3, 9"] {
            assert!(text(&ended).contains(shown), "{shown}: {}", text(&ended));
        }
        let jury = jury(&ended).render(false);
        assert!(jury.contains("xpl1e  appeal") && jury.contains("committed"), "{jury}");
    }
}
