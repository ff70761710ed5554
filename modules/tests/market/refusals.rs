//! Every bad input has its written code and changes nothing.

use crate::net::*;

#[test]
fn bad_jobs_have_their_codes() {
    let mut net = Net::open(params());
    let good = job_for(USERS[0], &net.model());
    let now = net.block.time_s;
    let sampling =
        |temperature_milli, top_p_milli| Some(Sampling { temperature_milli, top_p_milli, seed: 0 });
    let cases: Vec<(MsgSubmitJob, &str, u32)> = vec![
        (MsgSubmitJob { requester: "xpl1nobody".into(), ..good.clone() }, "sdk", 7),
        (MsgSubmitJob { referral: "cosmos1x".into(), ..good.clone() }, "sdk", 7),
        (MsgSubmitJob { max_fee_uxpl: "0".into(), ..good.clone() }, "sdk", 10),
        (MsgSubmitJob { max_fee_uxpl: "1.5".into(), ..good.clone() }, "sdk", 10),
        (MsgSubmitJob { max_fee_uxpl: (START * 2).to_string(), ..good.clone() }, "sdk", 5),
        (MsgSubmitJob { requester: Address([77; 20]).text(), ..good.clone() }, "sdk", 5),
        (MsgSubmitJob { model_id: vec![1; 31], ..good.clone() }, "market", 2),
        (MsgSubmitJob { model_id: vec![1; 32], ..good.clone() }, "market", 3),
        (MsgSubmitJob { input: String::new(), ..good.clone() }, "market", 18),
        (MsgSubmitJob { input: "x".repeat(16 * 1024 + 1), ..good.clone() }, "market", 18),
        (MsgSubmitJob { max_tokens: 0, ..good.clone() }, "market", 19),
        (MsgSubmitJob { max_tokens: 2_048, ..good.clone() }, "market", 19),
        (MsgSubmitJob { sampling: None, ..good.clone() }, "market", 20),
        (MsgSubmitJob { sampling: sampling(2_001, 1_000), ..good.clone() }, "market", 20),
        (MsgSubmitJob { sampling: sampling(0, 0), ..good.clone() }, "market", 20),
        (MsgSubmitJob { sampling: sampling(0, 1_001), ..good.clone() }, "market", 20),
        (MsgSubmitJob { stop: vec![String::new()], ..good.clone() }, "market", 21),
        (MsgSubmitJob { stop: vec!["x".repeat(65)], ..good.clone() }, "market", 21),
        (MsgSubmitJob { stop: vec!["x".into(); 5], ..good.clone() }, "market", 21),
        (MsgSubmitJob { max_fee_uxpl: "20009".into(), ..good.clone() }, "market", 22),
        (MsgSubmitJob { deadline_unix_s: now, ..good.clone() }, "market", 23),
        (MsgSubmitJob { deadline_unix_s: now + 61, ..good.clone() }, "market", 23),
        (MsgSubmitJob { referral: USERS[0].text(), ..good.clone() }, "market", 24),
        (
            MsgSubmitJob { referral: Address::of_module(market::ESCROW).text(), ..good.clone() },
            "market",
            24,
        ),
    ];
    let before = net.store.clone();
    for (msg, codespace, code) in cases {
        refused(net.submit(msg), codespace, code);
    }
    assert_eq!(net.store, before, "what is refused changes nothing");
    let short = net.submit(MsgSubmitJob { max_fee_uxpl: (START * 2).to_string(), ..good.clone() });
    let text = format!("the spendable balance is {START}uxpl, the job needs {}uxpl", START * 2);
    assert!(short.unwrap_err().log.contains(&text));
    net.submit(MsgSubmitJob { deadline_unix_s: now + 60, ..good }).unwrap();
    refused(net.cancel(USERS[0], 9), "market", 4);
    refused(net.cancel(USERS[1], 1), "market", 25);
    net.cancel(USERS[0], 1).unwrap();
    refused(net.cancel(USERS[0], 1), "market", 26);
    assert_eq!(net.balance(USERS[0]), START);
    assert_eq!(net.job(1).outcome(), Outcome::ClientAbort);
    net.end(1, 1);
}

#[test]
fn bad_receipts_have_their_codes() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let other_job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    let stranger = OPERATORS.into_iter().find(|other| *other != operator).unwrap();
    let good = net.answer(&job, 40);
    let full = net.answer(&job, 64);

    type Change = Box<dyn Fn(&mut Receipt)>;
    let cases: Vec<(Change, u32)> = vec![
        (Box::new(|r| r.kernel_id = String::new()), 2),
        (Box::new(|r| r.kernel_id = "x".repeat(129)), 2),
        (Box::new(|r| r.prompt_tokens_hash = vec![]), 2),
        (Box::new(|r| r.sampling = None), 2),
        (Box::new(|r| r.version = 2), 3),
        (Box::new(|r| r.chain_id = "other-1".into()), 4),
        (Box::new(|r| r.job_id = 99), 5),
        (Box::new(|r| r.attempt = 2), 9),
        (Box::new(|r| r.attempt = 0), 9),
        (Box::new(move |r| r.receipt_key = key_of(stranger).verifying_key().to_bytes().into()), 11),
        (Box::new(|r| r.model_id = vec![1; 32]), 12),
        (Box::new(|r| r.request_hash = vec![1; 32]), 13),
        (Box::new(|r| r.sampling.as_mut().unwrap().seed = 2), 14),
        (Box::new(|r| r.n_fresh = 59), 17),
        (Box::new(|r| (r.n_fresh, r.n_cached) = (u32::MAX, u32::MAX)), 17),
        (Box::new(|r| (r.n_fresh, r.n_cached) = (0, 0)), 17),
        (Box::new(|r| r.n_out = 41), 18),
        (Box::new(|r| r.output_tokens_hash = vec![1; 32]), 19),
        (Box::new(|r| r.response_hash = vec![1; 32]), 20),
        (Box::new(|r| r.outcome = Outcome::Timeout.into()), 21),
        (Box::new(|r| r.outcome = 77), 21),
        (Box::new(|r| r.finish_reason = FinishReason::Length.into()), 22),
        (Box::new(|r| r.finish_reason = FinishReason::None.into()), 22),
        (Box::new(|r| r.finish_reason = 0), 22),
        (Box::new(|r| r.finish_reason = 77), 22),
        (
            Box::new(|r| {
                r.outcome = Outcome::HostError.into();
                r.finish_reason = FinishReason::None.into();
            }),
            23,
        ),
        (Box::new(|r| r.charge_uxpl = "1".into()), 24),
        (Box::new(|r| r.n_fresh = 21), 24),
        (Box::new(|r| r.fingerprint_root = vec![]), 25),
        (Box::new(|r| r.fingerprint_root = vec![1; 31]), 25),
        (Box::new(|r| r.fingerprint_root = vec![1; 33]), 25),
        (Box::new(|r| r.t_first_ms = 21), 26),
    ];
    let before = net.store.clone();
    for (change, code) in cases {
        let mut msg = good.clone();
        change(msg.receipt.as_mut().unwrap());
        refused(net.receipt(operator, signed(msg, operator)), "attestation", code);
    }
    // A receipt for one job is none for another.
    let mut moved = good.clone();
    moved.receipt.as_mut().unwrap().job_id = other_job.id;
    let result = net.receipt(operator, signed(moved, operator));
    let refusal = result.unwrap_err();
    assert_eq!(refusal.codespace, "attestation");
    assert!(matches!(refusal.code, 11 | 13 | 24), "{refusal}");
    // A signature by somebody else, or over something else.
    refused(net.receipt(operator, signed(good.clone(), stranger)), "attestation", 27);
    let mut forged = good.clone();
    forged.receipt.as_mut().unwrap().t_total_ms += 1;
    refused(net.receipt(operator, forged), "attestation", 27);
    let mut short = good.clone();
    short.receipt.as_mut().unwrap().signature.pop();
    refused(net.receipt(operator, short), "attestation", 2);
    // Too many tokens, too much text.
    refused(net.receipt(operator, net.answer(&job, 65)), "attestation", 16);
    let mut long = good.clone();
    long.output.as_mut().unwrap().text = "x".repeat(32 * 1024);
    long.receipt.as_mut().unwrap().response_hash = text_hash(&"x".repeat(32 * 1024)).into();
    refused(net.receipt(operator, signed(long, operator)), "attestation", 15);
    let mut bad_charge = good.clone();
    bad_charge.receipt.as_mut().unwrap().charge_uxpl = "many".into();
    refused(net.receipt(operator, bad_charge), "sdk", 10);
    assert_eq!(net.store, before, "what is refused changes nothing");

    // Anybody may carry it.
    net.receipt(USERS[1], full.clone()).unwrap();
    refused(net.receipt(USERS[1], good), "attestation", 7);
    // Its evidence is no other job's.
    let other_operator = Address::parse(&other_job.provider).unwrap();
    let mut copied = net.answer(&other_job, 64);
    copied.receipt.as_mut().unwrap().fingerprint_root = root(&job);
    refused(net.receipt(USERS[1], signed(copied, other_operator)), "attestation", 29);
    refused(net.decline(declination(&job, operator)), "market", 27);

    // Late, with the timer not yet run.
    let late = net.answer(&other_job, 40);
    net.block = block(net.block.height + 3, net.block.time_s + 10);
    refused(net.receipt(operator, late.clone()), "attestation", 10);
    net.end(1, 1);
    refused(net.receipt(operator, late), "attestation", 8);
}

#[test]
fn bad_providers_have_their_codes() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    let operator = OPERATORS[0];
    let good = registration(operator, 5 * XPL, vec![ask(&model, 2)]);
    let with = |change: &dyn Fn(&mut MsgRegisterProvider)| {
        let mut msg = good.clone();
        change(&mut msg);
        msg
    };
    let ask_with = |change: &dyn Fn(&mut Ask)| {
        let mut ask = ask(&model, 2);
        change(&mut ask);
        with(&|m| m.asks = vec![ask.clone()])
    };
    let cases = vec![
        (with(&|m| m.operator = "?".into()), "sdk", 7),
        (with(&|m| m.bond_uxpl = String::new()), "sdk", 10),
        (with(&|m| m.bond_uxpl = (START + 1).to_string()), "sdk", 5),
        (with(&|m| m.receipt_key = vec![1; 31]), "market", 2),
        (with(&|m| m.receipt_key_proof = vec![1; 63]), "market", 2),
        (with(&|m| m.endpoint = "ftp://x".into()), "market", 2),
        (with(&|m| m.tls_key_hash = vec![1]), "market", 2),
        (with(&|m| m.region = "x".repeat(129)), "market", 2),
        (with(&|m| m.receipt_key_proof = vec![1; 64]), "market", 8),
        (with(&|m| m.receipt_key_proof = proof(OPERATORS[1], &key_of(operator))), "market", 8),
        (with(&|m| m.asks = vec![ask(&model, 2); 2]), "market", 10),
        (with(&|m| m.asks = vec![ask(&[1; 32], 2)]), "market", 3),
        (ask_with(&|a| a.slots = 0), "market", 10),
        (ask_with(&|a| a.slots = 1_025), "market", 10),
        (ask_with(&|a| a.cached_uxpl_per_mtok = 2_000_001), "market", 10),
        (ask_with(&|a| a.output_uxpl_per_mtok = 1_000_000_000_001), "market", 10),
        (with(&|m| m.asks = (0..65u8).map(|i| ask(&[i; 32], 1)).collect()), "market", 9),
    ];
    let before = net.store.clone();
    for (msg, codespace, code) in cases {
        refused(net.register_as(msg), codespace, code);
    }
    refused(net.update(update_of(operator, vec![])), "market", 5);
    refused(net.add_bond(operator, 1), "market", 5);
    refused(net.leave(operator), "market", 5);
    assert_eq!(net.store, before, "what is refused changes nothing");

    net.register_as(good.clone()).unwrap();
    refused(net.register_as(good), "market", 6);
    let mut thief = registration(OPERATORS[1], 0, vec![]);
    thief.receipt_key = key_of(operator).verifying_key().to_bytes().into();
    thief.receipt_key_proof = proof(OPERATORS[1], &key_of(operator));
    refused(net.register_as(thief), "market", 7);

    refused(net.add_bond(operator, 0), "sdk", 10);
    refused(net.withdraw(operator, 5 * XPL + 1), "market", 13);
    for _ in 0..3 {
        net.withdraw(operator, 1).unwrap();
    }
    refused(net.withdraw(operator, 1), "market", 14);
    net.end(5, 2);
    assert_eq!(net.provider(operator).unwrap().queued_uxpl, "3", "blocks alone do not");
    net.end(10, 2);
    assert_eq!(net.provider(operator).unwrap().bond_uxpl, (5 * XPL - 3).to_string());

    net.leave(operator).unwrap();
    refused(net.leave(operator), "market", 11);
    refused(net.add_bond(operator, 1), "market", 11);
    refused(net.withdraw(operator, 1), "market", 11);
    refused(net.update(update_of(operator, vec![])), "market", 11);
    net.end(15, 3);
    assert!(net.provider(operator).is_none());
    assert_eq!(net.balance(operator), START);
    net.register(operator, 1, vec![]).unwrap();
}

#[test]
fn bad_models_have_their_codes() {
    let mut net = Net::new(params());
    let file = manifest("base").files[0].clone();
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest("base");
        change(&mut manifest);
        MsgPublishModel { publisher: PUBLISHER.text(), manifest: Some(manifest), royalty_bps: 0 }
    };
    let path =
        |path: &str| with(&|m| m.files = vec![ModelFile { path: path.into(), ..file.clone() }]);
    let many = |i: u32| ModelFile { path: format!("f{i}"), ..file.clone() };
    let long = |i: u32| ModelFile { path: format!("{}{i}", "x".repeat(240)), ..file.clone() };
    let cases = vec![
        (MsgPublishModel { manifest: None, ..with(&|_| {}) }, 15),
        (with(&|m| m.name = String::new()), 2),
        (with(&|m| m.name = "x".repeat(129)), 2),
        (with(&|m| m.files = vec![]), 15),
        (with(&|m| m.files = vec![file.clone(); 2]), 15),
        (with(&|m| m.files[0].sha256 = vec![1]), 15),
        (with(&|m| m.files[0].size_bytes = 0), 15),
        (with(&|m| m.context_tokens = 32), 15),
        (with(&|m| m.base_model = vec![1; 3]), 15),
        (with(&|m| m.base_model = vec![1; 32]), 15),
        (with(&|m| m.files = (0..257).map(many).collect()), 15),
        (with(&|m| m.files = (0..256).map(long).collect()), 15),
        (path("../x"), 15),
        (path("/x"), 15),
        (MsgPublishModel { royalty_bps: 1_001, ..with(&|_| {}) }, 17),
    ];
    for (msg, code) in cases {
        refused(net.publish_as(msg), "market", code);
    }
    let base = net.publish_as(with(&|_| {})).unwrap();
    refused(net.publish_as(with(&|_| {})), "market", 16);
    net.publish_as(with(&|m| m.base_model = base.clone())).unwrap();
}
