use crate::court::*;

#[track_caller]
fn refused_as<T: std::fmt::Debug>(result: Result<T, Refusal>, code: u32) {
    refused(result, "audit", code);
}

#[test]
fn profiles_are_the_publishers_and_within_bounds() {
    let mut court = Court::new(numbers(), 6);
    refused_as(court.set_profile(PROFILE), 6);
    refused_as(court.set_profile(Profile { margin_ppm_max: 60_001, ..PROFILE }), 5);
    refused_as(court.set_profile(Profile { tokens_per_outlier: 31, ..PROFILE }), 5);
    let model_id = court.model().to_vec();
    let set = |publisher: Address, model_id: Vec<u8>, profile| {
        audit::SetProfile::new(MsgSetProfile { publisher: publisher.text(), model_id, profile })
    };
    assert_eq!(Refusal::from(set(PUBLISHER, vec![1; 31], Some(PROFILE)).unwrap_err()).code, 2);
    assert_eq!(Refusal::from(set(PUBLISHER, model_id.clone(), None).unwrap_err()).code, 2);
    let other = set(USERS[0], model_id, Some(PROFILE)).unwrap();
    refused_as(court.net.run(USERS[0], |ctx| audit::set_profile(ctx, other)), 4);
    let unknown = set(USERS[0], vec![1; 32], Some(PROFILE)).unwrap();
    refused_as(court.net.run(USERS[0], |ctx| audit::set_profile(ctx, unknown)), 3);
}

#[test]
fn pools_take_providers_with_a_free_bond_once() {
    let mut court = Court::new(AuditParams { pool_max: 7, ..numbers() }, 6);
    let juror = court.jurors[0];
    refused_as(court.join(juror), 11);
    refused_as(court.join_for(juror, [1; 32]), 7);
    refused_as(court.join(USERS[0]), 8);
    refused_as(court.leave(PROVIDER), 13);
    court.net.register(PUBLISHER, BOND, vec![]).unwrap();
    refused_as(court.join(PUBLISHER), 9);
    court.net.register(OPERATORS[1], 9 * XPL, vec![]).unwrap();
    refused_as(court.join(OPERATORS[1]), 10);
    court.net.add_bond(OPERATORS[1], 2 * XPL).unwrap();
    court.join(OPERATORS[1]).unwrap();
    refused_as(court.join(PROVIDER), 12);
    court.net.leave(juror).unwrap();
    court.leave(juror).unwrap();
    refused_as(court.join(juror), 8);
}

#[test]
fn a_jury_has_no_interest_in_the_claim() {
    let mut court = Court::new(numbers(), 6);
    court.join(PROVIDER).unwrap();
    court.net.register(USERS[0], BOND, vec![]).unwrap();
    court.join(USERS[0]).unwrap();
    court.net.register(DISPUTER, BOND, vec![]).unwrap();
    court.join(DISPUTER).unwrap();
    for turn in 0..12 {
        let id = court.claim();
        if turn % 2 == 0 {
            court.dispute(id, 10 * XPL).unwrap();
        }
        court.end(3);
        let jury = court.jury(id);
        assert!(!jury.contains(&PROVIDER) && !jury.contains(&USERS[0]), "{jury:?}");
        assert!(turn % 2 == 1 || !jury.contains(&DISPUTER), "{jury:?}");
        court.reveal(id);
        court.judge(id, &[Some(true); 3]);
    }
}

#[test]
fn evidence_that_does_not_match_is_refused() {
    let mut court = Court::new(numbers(), 8);
    let id = court.claim();
    let early = MsgReveal { audit_id: id, ..empty_reveal() };
    refused_as(court.reveal_as(early), 20);
    refused_as(court.reveal_as(MsgReveal { audit_id: 99, ..empty_reveal() }), 19);
    court.end(3);
    let good = court.reveal_msg(id);

    let mut fewer = good.clone();
    fewer.leaves.pop();
    refused_as(court.reveal_as(sign_reveal(fewer)), 24);
    let mut order = good.clone();
    order.leaves.swap(0, 1);
    refused_as(court.reveal_as(sign_reveal(order)), 24);
    let mut other = good.clone();
    other.leaves[1].leaf = leaves(id + 1)[1].clone();
    refused_as(court.reveal_as(sign_reveal(other)), 26);
    let mut path = good.clone();
    path.leaves[1].path[0][0] ^= 1;
    refused_as(court.reveal_as(sign_reveal(path)), 26);
    let mut root = good.clone();
    root.fingerprints_root[0] ^= 1;
    refused_as(court.reveal_as(sign_reveal(root)), 27);
    let carried = MsgReveal { carrier: USERS[1].text(), ..good.clone() };
    let forged = MsgReveal { signature: vec![1; 64], ..good.clone() };
    refused_as(court.reveal_as(forged), 28);
    court.reveal_as(carried).unwrap();
    // It is all there: the phase ends with this block, and takes nothing more.
    refused_as(court.reveal_as(good.clone()), 21);
    court.end(1);
    refused_as(court.reveal_as(good), 20);
}

/// The evidence of an audit in which one number, be16, of one of the leaves is another.
fn with_number(good: &MsgReveal, leaf: usize, at: usize, number: u16) -> MsgReveal {
    let mut msg = good.clone();
    msg.leaves[leaf].leaf[at..at + 2].copy_from_slice(&number.to_be_bytes());
    sign_reveal(msg)
}

/// The tests of `evidence.rs` say which numbers stand for nothing. Here: that the chain asks, and by the rows
/// that the claim has, 25 of the prompt and 40 of the output.
#[test]
fn numbers_of_leaves_that_stand_for_nothing_are_refused() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    let good = court.reveal_msg(id);
    assert_eq!(court.audit(id).leaves, [0, 1, 2]);
    // A modulus, then 128 coefficients; from there on 8 projections of each row.
    let (modulus, first, last) = (0, 2, 256);
    let row = |row: usize| 258 + 16 * row;
    for (leaf, at, number) in [
        (1, modulus, 0),
        (1, modulus, 32_768),
        (1, modulus, 65_498),
        (1, first, 65_497),
        (1, last, 65_535),
        // Infinities and NaNs, also where a leaf has no row.
        (1, row(0), 0x7c00),
        (1, row(31), 0xfc00),
        (1, row(0), 0x7c01),
        (1, row(32) - 2, 0xffff),
        (2, row(32) - 2, 0x7e00),
        // The first number of the first row that is none, and the last number; -0 is not zero.
        (0, row(25), 1),
        (2, row(8), 1),
        (2, row(32) - 2, 0x8000),
    ] {
        refused_as(court.reveal_as(with_number(&good, leaf, at, number)), 25);
    }
    // As far as they may be: well formed, and not what the receipt's root binds.
    for (leaf, at, number) in [
        (1, modulus, 32_769),
        (1, first, 65_496),
        (1, row(0), 0x7bff),
        (0, row(25) - 2, 0x8000),
        (1, row(32) - 2, 1),
        (2, row(8) - 2, 0xfbff),
    ] {
        refused_as(court.reveal_as(with_number(&good, leaf, at, number)), 26);
    }
    court.reveal_as(good).unwrap();
}

#[test]
fn evidence_that_is_too_large_or_too_small_is_refused() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    let good = court.reveal_msg(id);
    let changed = |change: fn(&mut MsgReveal)| {
        let mut msg = good.clone();
        change(&mut msg);
        sign_reveal(msg)
    };
    let wrong: [fn(&mut MsgReveal); 11] = [
        |msg| msg.leaves.clear(),
        |msg| msg.leaves = vec![msg.leaves[0].clone(); 34],
        |msg| msg.leaves[0].leaf.clear(),
        |msg| msg.leaves[0].leaf.truncate(769),
        |msg| msg.leaves[2].leaf.push(0),
        |msg| msg.leaves[0].path = vec![vec![1; 32]; 33],
        |msg| msg.leaves[2].fingerprint_path = vec![vec![1; 32]; 33],
        |msg| msg.leaves[0].path[0].truncate(31),
        |msg| msg.leaves[2].fingerprint_path[0].push(0),
        |msg| msg.fingerprints_root.clear(),
        |msg| msg.fingerprints_root.push(0),
    ];
    for (at, change) in wrong.into_iter().enumerate() {
        let refusal = court.reveal_as(changed(change)).expect_err("must be refused");
        assert_eq!((refusal.codespace, refusal.code), ("audit", 2), "{at}: {refusal}");
    }
    for signature in [vec![], vec![1; 63], vec![1; 65]] {
        refused_as(court.reveal_as(MsgReveal { signature, ..good.clone() }), 2);
    }
    // As large as it may be: refused for what it says, and no more for its size.
    let most = changed(|msg| msg.leaves = vec![msg.leaves[0].clone(); 33]);
    refused_as(court.reveal_as(most), 24);
    refused_as(court.reveal_as(changed(|msg| msg.leaves[0].path = vec![vec![1; 32]; 32])), 26);
    let long = changed(|msg| msg.leaves[0].fingerprint_path = vec![vec![1; 32]; 32]);
    refused_as(court.reveal_as(long), 27);
    court.reveal_as(good).unwrap();
}

fn empty_reveal() -> MsgReveal {
    let leaf = LeafProof { leaf: vec![0; 770], ..LeafProof::default() };
    MsgReveal {
        carrier: USERS[2].text(),
        fingerprints_root: vec![1; 32],
        leaves: vec![leaf],
        signature: vec![0; 64],
        ..MsgReveal::default()
    }
}

#[test]
fn verdicts_of_outsiders_early_late_and_twice_are_refused() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    let jury = court.jury(id);
    let outsider = *court.jurors.iter().find(|juror| !jury.contains(juror)).unwrap();
    let early = court.commit_msg(id, jury[0], true);
    refused_as(court.commit_as(early.clone()), 20);
    court.reveal(id);

    refused_as(court.commit_as(court.commit_msg(id, outsider, true)), 29);
    let stolen = MsgCommitVerdict { signature: vec![7; 64], ..early.clone() };
    refused_as(court.commit_as(stolen), 28);
    court.commit_as(early.clone()).unwrap();
    refused_as(court.commit_as(early.clone()), 30);
    refused_as(court.commit_as(court.commit_msg(id, jury[0], false)), 30);
    refused_as(court.open_as(court.verdict_msg(id, jury[0], verdict(true))), 20);
    // What is within the profile may be failed, but not the other way round.
    let beyond = Verdict { measures: Some(measures(false)), ..verdict(true) };
    let digest = audit::commitment(CHAIN, id, 0, jury[1], &beyond, &salt(jury[1]));
    let mut msg = court.commit_msg(id, jury[1], true);
    msg.commitment = digest.into();
    msg.signature =
        key_of(jury[1]).sign(&commit_digest(CHAIN, id, 0, jury[1], &digest)).to_bytes().into();
    court.commit_as(msg).unwrap();
    court.end(4);
    refused_as(court.commit_as(court.commit_msg(id, jury[2], true)), 20);

    let cut = Verdict { answer: answer(0)[2..].into(), ..verdict(true) };
    refused_as(court.open_as(court.verdict_msg(id, jury[2], cut)), 2);
    refused_as(court.open_as(court.verdict_msg(id, jury[1], beyond)), 35);
    refused_as(court.open_as(court.verdict_msg(id, jury[2], verdict(true))), 32);
    refused_as(court.open_as(court.verdict_msg(id, outsider, verdict(true))), 29);
    refused_as(court.open_as(court.verdict_msg(id, jury[0], verdict(false))), 34);
    let good = court.verdict_msg(id, jury[0], verdict(true));
    refused_as(court.open_as(MsgRevealVerdict { salt: vec![1; 32], ..good.clone() }), 34);
    refused_as(court.open_as(MsgRevealVerdict { signature: vec![1; 64], ..good.clone() }), 28);
    let bare = MsgRevealVerdict { verdict: Some(Verdict::default()), ..good.clone() };
    refused_as(court.open_as(bare), 2);
    court.open_as(good.clone()).unwrap();
    refused_as(court.open_as(good.clone()), 33);
    court.end(4);
    refused_as(court.open_as(good), 20);
}

/// It may even come first: a juror's commitment can be read before it is in a block.
#[test]
fn who_copies_a_commitment_stops_nobody_and_cannot_open_it() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    court.reveal(id);
    let jury = court.jury(id);
    let own = court.commit_msg(id, jury[0], true);
    let commitment: Hash = own.commitment.clone().try_into().unwrap();
    let digest = commit_digest(CHAIN, id, 0, jury[1], &commitment);
    let copy = MsgCommitVerdict {
        juror: jury[1].text(),
        signature: key_of(jury[1]).sign(&digest).to_bytes().into(),
        ..own.clone()
    };
    court.commit_as(copy).unwrap();
    court.commit_as(own).unwrap();
    court.commit_as(court.commit_msg(id, jury[2], true)).unwrap();
    court.end(1);
    let opened = court.verdict_msg(id, jury[0], verdict(true));
    court.open_as(opened.clone()).unwrap();
    court.open_as(court.verdict_msg(id, jury[2], verdict(true))).unwrap();
    // What was opened is no secret any more, and still not the copier's.
    let digest = verdict_digest(CHAIN, id, 0, jury[1], &verdict(true), &salt(jury[0]));
    let copied = MsgRevealVerdict {
        juror: jury[1].text(),
        signature: key_of(jury[1]).sign(&digest).to_bytes().into(),
        ..opened
    };
    refused_as(court.open_as(copied), 34);
    court.end(4);
    let audit = court.audit(id);
    assert_eq!(audit.finding(), Finding::Clean);
    let lost: Vec<bool> = audit.seats.iter().map(|seat| seat.lost_uxpl != "0").collect();
    assert_eq!(lost, [false, true, false], "who copied has said nothing, and pays for that");
}

#[test]
fn disputes_and_appeals_need_their_bonds_and_their_time() {
    let mut court = Court::new(numbers(), 9);
    refused_as(court.dispute(77, 10 * XPL), 14);
    let open = court.net.submit(job_for(USERS[0], &court.net.model())).unwrap();
    refused_as(court.dispute(open, 10 * XPL), 15);
    let id = court.claim();
    refused_as(court.dispute(id, 10 * XPL - 1), 18);
    refused(court.dispute(id, 2 * START), "sdk", 5);
    court.end(3);
    refused_as(court.dispute(id, 10 * XPL), 17);
    refused_as(court.appeal(id, PROVIDER, 50 * XPL), 20);
    court.reveal(id);
    court.judge(id, &[Some(false); 3]);
    refused_as(court.appeal(99, PROVIDER, 50 * XPL), 19);
    refused_as(court.appeal(id, USERS[0], 50 * XPL), 22);
    refused_as(court.appeal(id, PROVIDER, 50 * XPL - 1), 18);
    let jurors = court.jurors.clone();
    let jury = court.jury(id);
    let others: Vec<_> = jurors.into_iter().filter(|juror| !jury.contains(juror)).collect();
    for juror in &others[2..] {
        court.leave(*juror).unwrap();
    }
    refused_as(court.appeal(id, PROVIDER, 50 * XPL), 23);
    court.join(others[2]).unwrap();
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    refused_as(court.appeal(id, PROVIDER, 50 * XPL), 20);
    // Too few by the time that the jury is drawn: convicted, and the bond comes back.
    court.leave(others[2]).unwrap();
    let before = court.net.balance(PROVIDER);
    court.end(3);
    assert_eq!(court.audit(id).finding(), Finding::Convicted);
    assert_eq!(court.net.balance(PROVIDER), before + 50 * XPL);
}
