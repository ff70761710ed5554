//! How seldom an operator is audited, as its claims are found clean: with the numbers that a chain starts with.

use crate::court::*;

/// What a claim costs here: more than one payer may bring in, and more than the provider's bond carries, so that
/// each claim is audited whatever its rate.
const CHARGE: u128 = 60 * XPL;

/// A court with dear claims, and those who pay for them: enough to bring the rate down to the least.
fn dear_court() -> (Court, Vec<Address>) {
    let mut court = Court::new(numbers(), 16);
    let per_token = u64::try_from(XPL * XPL).unwrap();
    let dear = Ask {
        fresh_uxpl_per_mtok: per_token,
        cached_uxpl_per_mtok: 0,
        output_uxpl_per_mtok: per_token,
        ..ask(&court.net.model(), 16)
    };
    court.net.update(update_of(PROVIDER, vec![dear])).unwrap();
    // Operators of the pool have money; who pays for a claim does not judge it.
    let payers = court.jurors[..11].to_vec();
    (court, payers)
}

/// A dear claim of `payer` on which the jury says this, and the rate that it was made at.
fn judged(court: &mut Court, payer: Address, pass: bool) -> u32 {
    let max_fee_uxpl = (1_000 * XPL).to_string();
    let id = court.claim_for(MsgSubmitJob { max_fee_uxpl, ..job_for(payer, &court.net.model()) });
    let Audit { rate_bps, charge_uxpl, .. } = court.audit(id);
    assert_eq!(charge_uxpl, CHARGE.to_string());
    court.end(3);
    court.reveal(id);
    court.judge(id, &[Some(pass); 3]);
    court.end(4);
    let finding = if pass { Finding::Clean } else { Finding::Convicted };
    assert_eq!(court.audit(id).finding(), finding);
    rate_bps
}

fn clean(court: &Court) -> u128 {
    court.standing().clean_uxpl.parse().unwrap()
}

#[test]
fn the_numbers_of_the_rate_are_those_that_a_chain_starts_with() {
    let rates = |numbers: AuditParams| {
        let AuditParams { decay_uxpl, payer_bps, rate_min_bps, .. } = numbers;
        (decay_uxpl, payer_bps, rate_min_bps)
    };
    assert_eq!(rates(numbers()), rates(default_params()));
}

/// Each payer brings in a tenth of 500 XPL at most, so that ten are needed: 900 bps each.
#[test]
fn ten_payers_bring_the_rate_down_to_the_least_and_no_further() {
    let (mut court, payers) = dear_court();
    for (before, payer) in (0u32..).zip(&payers) {
        assert_eq!(judged(&mut court, *payer, true), 10_000 - 900 * before.min(10), "{before}");
    }
    // From then on a payer's part is a tenth of what all brought in.
    assert_eq!(clean(&court), 550 * XPL);
    assert_eq!(judged(&mut court, payers[0], true), 1_000);
    assert_eq!(clean(&court), 555 * XPL);
    court.check_export();
}

#[test]
fn one_payer_alone_brings_the_rate_down_by_its_part_and_no_further() {
    let (mut court, payers) = dear_court();
    assert_eq!(judged(&mut court, payers[0], true), 10_000);
    for _ in 0..4 {
        assert_eq!(judged(&mut court, payers[0], true), 9_100);
    }
    assert_eq!((clean(&court), court.standing().audits_clean), (50 * XPL, 5));
    // Another is not kept from it.
    assert_eq!(judged(&mut court, payers[1], true), 9_100);
    assert_eq!(judged(&mut court, payers[0], true), 8_200);
}

#[test]
fn a_conviction_sets_the_rate_back_and_what_payers_counted_for_is_void() {
    let (mut court, payers) = dear_court();
    for payer in &payers[..3] {
        judged(&mut court, *payer, true);
    }
    assert_eq!(judged(&mut court, payers[3], false), 7_300);
    let Standing { era, audits_convicted, .. } = court.standing();
    assert_eq!((clean(&court), era, audits_convicted), (0, 1, 1));
    court.check_export();
    // A payer whose part was full counts again, as a new one does, and no more than before.
    for rate_bps in [10_000, 9_100, 9_100] {
        assert_eq!(judged(&mut court, payers[0], true), rate_bps);
    }
    assert_eq!(judged(&mut court, payers[4], true), 9_100);
    assert_eq!(clean(&court), 100 * XPL);
}
