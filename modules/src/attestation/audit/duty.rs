//! What an audit asks of operators: the provider's evidence, the jurors' verdicts.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use plasma_proto::plasma::attestation::v1::{
    Audit, AuditState, Carried, LeafProof, MsgCommitVerdictResponse, MsgRevealResponse,
    MsgRevealVerdictResponse, Seat, ShownLeaf,
};

use super::{
    CommitVerdict, Error, Reveal, RevealVerdict,
    digests::{commit_digest, commitment, reveal_digest, verdict_digest},
    event::Event,
    profile,
    state::{
        AUDITS, LEAVES, due_in, is_over, job_of, numbers_of, rest, seat_owes, stored_hash, sum,
    },
};
use crate::{
    Address, Amount, Ctx, Read,
    attestation::{
        FINGERPRINT_BYTES, Leaf, fingerprint_hash, leaf_count, leaf_hash, leaf_rows, receipt,
        verify_path,
    },
    error::fault,
    market, tx,
    types::Hash,
};

/// The provider shows the leaves that were drawn, each under the root of its receipt.
pub fn reveal(ctx: &mut Ctx<'_>, msg: Reveal) -> Result<MsgRevealResponse, Error> {
    let Reveal { carrier: _, msg, fingerprints_root, paths } = msg;
    let mut audit = at_phase(ctx, msg.audit_id, AuditState::Reveal)?;
    if audit.is_revealed {
        return Err(Error::WrongPhase("its jurors' verdicts"));
    }
    if !msg.leaves.iter().map(|leaf| leaf.index).eq(audit.leaves.iter().copied()) {
        let wanted: Vec<String> = audit.leaves.iter().map(ToString::to_string).collect();
        return Err(Error::WrongLeaves(wanted.join(", ")));
    }
    let job = job_of(ctx.store, &audit);
    let root = receipt(ctx.store, audit.id)
        .and_then(|accepted| accepted.receipt)
        .map(|receipt| stored_hash(&receipt.fingerprint_root))
        .unwrap_or_else(|| fault("a claim without its receipt", &audit.id.to_be_bytes()));
    let count = leaf_count(job.n_out);
    let n_in = u64::from(job.n_fresh).saturating_add(job.n_cached.into());
    for (shown, (path, fingerprint_path)) in msg.leaves.iter().zip(&paths) {
        let LeafProof { index, leaf, .. } = shown;
        let rows = leaf_rows(*index, n_in, job.n_out).unwrap_or_default();
        Leaf::parse(leaf, rows)
            .map_err(|error| Error::BadLeaf { index: *index, why: error.to_string() })?;
        if !verify_path(&root, count, *index, &leaf_hash(leaf), path) {
            return Err(Error::NotUnderRoot(*index));
        }
        let name = fingerprint_hash(leaf.get(..FINGERPRINT_BYTES).unwrap_or_default());
        if !verify_path(&fingerprints_root, count, *index, &name, fingerprint_path) {
            return Err(Error::FingerprintNotUnderRoot(*index));
        }
    }
    let digest = reveal_digest(&ctx.block.chain_id, &msg);
    check_signature(ctx.store, Address::stored(&audit.provider), &digest, &msg.signature)?;

    for LeafProof { index, leaf, .. } in msg.leaves {
        let shown = ShownLeaf { audit_id: audit.id, index, leaf };
        LEAVES.set(ctx.store, &(audit.id, index), &shown);
    }
    audit.is_revealed = true;
    audit.fingerprints_root = fingerprints_root.into();
    due_in(&mut audit, ctx.block, 0, 0);
    carried(ctx, &mut audit);
    AUDITS.set(ctx.store, &audit.id, &audit);
    ctx.emit(&Event::EvidenceShown { audit_id: audit.id });
    Ok(MsgRevealResponse {})
}

/// A juror binds itself to a verdict that nobody else can read yet. Who copies another's commitment binds itself to what it cannot
/// open, for that names its juror; it must not keep whoever it copied from its own.
pub fn commit_verdict(
    ctx: &mut Ctx<'_>,
    msg: CommitVerdict,
) -> Result<MsgCommitVerdictResponse, Error> {
    let CommitVerdict { carrier: _, audit_id, juror, commitment, signature } = msg;
    let mut audit = at_phase(ctx, audit_id, AuditState::Commit)?;
    let round = audit.round;
    let seat = seat(&mut audit, juror)?;
    if !seat.commitment.is_empty() {
        return Err(Error::HasCommitted);
    }
    let digest = commit_digest(&ctx.block.chain_id, audit_id, round, juror, &commitment);
    check_signature(ctx.store, juror, &digest, &signature)?;

    seat.commitment = commitment.into();
    done(ctx, audit);
    ctx.emit(&Event::VerdictCommitted { audit_id, juror });
    Ok(MsgCommitVerdictResponse {})
}

/// A juror opens its verdict.
pub fn reveal_verdict(
    ctx: &mut Ctx<'_>,
    msg: RevealVerdict,
) -> Result<MsgRevealVerdictResponse, Error> {
    let RevealVerdict { carrier: _, audit_id, juror, verdict, salt, signature } = msg;
    let mut audit = at_phase(ctx, audit_id, AuditState::Verdict)?;
    let (round, profile) = (audit.round, audit.profile.unwrap_or_default());
    let seat = seat(&mut audit, juror)?;
    if seat.commitment.is_empty() {
        return Err(Error::NotCommitted);
    }
    if seat.verdict.is_some() {
        return Err(Error::HasOpened);
    }
    let chain_id = &ctx.block.chain_id;
    if seat.commitment != commitment(chain_id, audit_id, round, juror, &verdict, &salt) {
        return Err(Error::WrongOpening);
    }
    let within = verdict.measures.is_some_and(|measures| profile::within(&measures, &profile));
    if verdict.pass && !within {
        return Err(Error::PassBeyondProfile);
    }
    let digest = verdict_digest(chain_id, audit_id, round, juror, &verdict, &salt);
    check_signature(ctx.store, juror, &digest, &signature)?;

    let pass = verdict.pass;
    seat.verdict = Some(verdict);
    done(ctx, audit);
    ctx.emit(&Event::VerdictOpened { audit_id, juror, pass });
    Ok(MsgRevealVerdictResponse {})
}

/// The audit, if this phase of it is under way.
pub(super) fn at_phase(ctx: &Ctx<'_>, id: u64, phase: AuditState) -> Result<Audit, Error> {
    let audit = AUDITS.get(ctx.store, &id).ok_or(Error::UnknownAudit(id))?;
    if audit.state() != phase {
        return Err(Error::WrongPhase(match audit.state() {
            AuditState::Unspecified => "nothing",
            AuditState::Lot => "its lot",
            AuditState::Reveal => "the provider's evidence",
            AuditState::Commit => "its jurors' commitments",
            AuditState::Verdict => "its jurors' verdicts",
            AuditState::Appeal => "the time to appeal",
            AuditState::Ended => "its end",
        }));
    }
    if is_over(&audit, ctx.block) {
        return Err(Error::Late(id));
    }
    Ok(audit)
}

/// A juror's seat in the round under way.
fn seat(audit: &mut Audit, juror: Address) -> Result<&mut Seat, Error> {
    let (round, juror) = (audit.round, juror.text());
    let mut seats = audit.seats.iter_mut().filter(|seat| seat.round == round);
    seats.find(|seat| seat.juror == juror).ok_or(Error::NotJuror)
}

/// A juror has done what it owed; after the last one the phase ends with this block.
fn done(ctx: &mut Ctx<'_>, mut audit: Audit) {
    if !audit.seats.iter().any(|seat| seat_owes(&audit, seat)) {
        due_in(&mut audit, ctx.block, 0, 0);
    }
    carried(ctx, &mut audit);
    AUDITS.set(ctx.store, &audit.id, &audit);
}

/// What the message costs its carrier is owed to it, as far as the audit's numbers go.
fn carried(ctx: &mut Ctx<'_>, audit: &mut Audit) {
    let most = Amount::from(numbers_of(audit).duty_fee_max_uxpl);
    let owed = ctx.fee.left.min(most);
    if owed == Amount::ZERO {
        return;
    }
    ctx.fee.left = rest(ctx.fee.left, owed);
    let carrier = ctx.fee.payer.text();
    match audit.carried.iter_mut().find(|carried| carried.carrier == carrier) {
        Some(carried) => {
            carried.owed_uxpl = sum(Amount::stored(&carried.owed_uxpl), owed).text();
        }
        None => audit.carried.push(Carried { carrier, owed_uxpl: owed.text() }),
    }
}

fn check_signature(
    store: &dyn Read,
    operator: Address,
    digest: &Hash,
    signature: &[u8],
) -> Result<(), Error> {
    let key = market::provider(store, operator)
        .map(|provider| stored_hash(&provider.receipt_key))
        .unwrap_or_else(|| fault(&format!("{operator} has a duty and is no provider"), digest));
    if tx::verify_ed25519(&key, digest, signature) { Ok(()) } else { Err(Error::BadSignature) }
}
