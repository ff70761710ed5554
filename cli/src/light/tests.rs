//! A chain of our own, whose validators change, and nodes that lie about it.

use std::cell::Cell;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use tendermint::block::header::Version;
use tendermint::block::parts::Header as Parts;
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{Commit, CommitSig, Header, Height, Id};
use tendermint::validator::{Info, Set};
use tendermint::vote::{Type, Vote};
use tendermint::{AppHash, Hash, PublicKey, Signature, Time, account};

use super::chain::{self, LightBlock, STEPS_MAX, Source, TRUSTING_PERIOD_S};
use crate::error::{EXIT_UNPROVEN, Failure, Result};

const CHAIN: &str = "light-1";
const START_S: i64 = 1_700_000_000;
const BLOCK_S: i64 = 10;
const VALIDATORS: u64 = 4;

/// Which keys validate `height`: one of four is replaced every `blocks_per_change`.
#[derive(Clone)]
struct Chain {
    blocks_per_change: u64,
    /// Makes another history.
    salt: u8,
    /// Signatures of a block that are left out.
    absent: usize,
    asked: Cell<usize>,
}

impl Chain {
    fn new(blocks_per_change: u64) -> Self {
        Self { blocks_per_change, salt: 0, absent: 0, asked: Cell::new(0) }
    }

    fn keys(&self, height: u64) -> Vec<SigningKey> {
        let from = height / self.blocks_per_change;
        (from..from + VALIDATORS)
            .map(|n| {
                let mut seed = [self.salt; 32];
                seed[..8].copy_from_slice(&n.to_be_bytes());
                SigningKey::from_bytes(&seed)
            })
            .collect()
    }

    fn set(&self, height: u64) -> Set {
        let info = |key: &SigningKey| {
            let key = PublicKey::from_raw_ed25519(key.verifying_key().as_bytes()).unwrap();
            Info::new(key, 10u32.into())
        };
        Set::without_proposer(self.keys(height).iter().map(info).collect())
    }

    fn bare(&self, height: u64) -> Header {
        Header {
            version: Version { block: 11, app: 1 },
            chain_id: CHAIN.parse().unwrap(),
            height: Height::try_from(height).unwrap(),
            time: at(height),
            last_block_id: None,
            last_commit_hash: None,
            data_hash: None,
            validators_hash: self.set(height).hash(),
            next_validators_hash: self.set(height + 1).hash(),
            consensus_hash: Hash::Sha256([3; 32]),
            app_hash: AppHash::try_from(vec![self.salt; 32]).unwrap(),
            last_results_hash: None,
            evidence_hash: None,
            proposer_address: account::Id::new([0; 20]),
        }
    }

    fn sign(&self, header: Header) -> LightBlock {
        let height = header.height.value();
        let set = self.set(height);
        let block_id = Id {
            hash: header.hash(),
            part_set_header: Parts::new(1, Hash::Sha256([2; 32])).unwrap(),
        };
        let keys = self.keys(height);
        let signatures = set.validators().iter().enumerate().map(|(index, info)| {
            if index < self.absent {
                return CommitSig::BlockIdFlagAbsent;
            }
            let bytes = info.pub_key.to_bytes();
            let key = keys.iter().find(|key| key.verifying_key().to_bytes()[..] == bytes).unwrap();
            let vote = Vote {
                vote_type: Type::Precommit,
                height: header.height,
                round: 0u16.into(),
                block_id: Some(block_id),
                timestamp: Some(header.time),
                validator_address: info.address,
                validator_index: u32::try_from(index).unwrap().try_into().unwrap(),
                signature: None,
                extension: Vec::new(),
                extension_signature: None,
            };
            let signature = key.sign(&vote.into_signable_vec(header.chain_id.clone()));
            CommitSig::BlockIdFlagCommit {
                validator_address: info.address,
                timestamp: header.time,
                signature: Signature::new(signature.to_bytes()).unwrap(),
            }
        });
        let signatures = signatures.collect();
        let commit = Commit { height: header.height, round: 0u16.into(), block_id, signatures };
        LightBlock {
            signed: SignedHeader::new(header, commit).unwrap(),
            validators: set,
            next: self.set(height + 1),
        }
    }

    fn block(&self, height: u64) -> LightBlock {
        self.sign(self.bare(height))
    }
}

impl Source for Chain {
    async fn light_block(&self, height: u64) -> Result<LightBlock> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.block(height))
    }

    async fn header(&self, height: u64) -> Result<Header> {
        Ok(self.bare(height))
    }
}

/// Headers that hold each other's hashes, all the way.
struct Linked(Vec<Header>, Chain);

impl Linked {
    fn new(chain: Chain, count: u64) -> Self {
        let mut headers: Vec<Header> = Vec::new();
        for height in 1..=count {
            let below = headers.last().map(|below| Id {
                hash: below.hash(),
                part_set_header: Parts::new(1, Hash::Sha256([2; 32])).unwrap(),
            });
            headers.push(Header { last_block_id: below, ..chain.bare(height) });
        }
        Self(headers, chain)
    }
}

impl Source for Linked {
    async fn light_block(&self, height: u64) -> Result<LightBlock> {
        Ok(self.1.sign(self.header(height).await?))
    }

    async fn header(&self, height: u64) -> Result<Header> {
        let at = usize::try_from(height).unwrap() - 1;
        self.0.get(at).cloned().ok_or_else(|| Failure::unreachable("no such block"))
    }
}

fn at(height: u64) -> Time {
    Time::from_unix_timestamp(START_S + BLOCK_S * i64::try_from(height).unwrap(), 0).unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, why: &str) {
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, EXIT_UNPROVEN, "{failure:?}");
    assert!(failure.message.contains(why), "{failure:?}");
}

#[test]
fn a_steady_chain_is_skipped_through_in_one_step() {
    let chain = Chain::new(1_000_000);
    let done = wait(chain::forward(&chain, &chain.block(5), &chain.block(90_000), at(90_001)));
    assert_eq!((done.unwrap(), chain.asked.get()), (1, 0));
    let signed = chain::signers(&chain.block(7)).unwrap();
    assert_eq!((signed.validators, signed.of_validators), (4, 4));
    assert_eq!((signed.power, signed.of_power), (40, 40));
}

#[test]
fn validators_that_change_are_followed_from_set_to_set() {
    let chain = Chain::new(10);
    let done = wait(chain::forward(&chain, &chain.block(1), &chain.block(200), at(201)));
    assert!(done.unwrap() > 5);
    assert!((5..100).contains(&chain.asked.get()), "{}", chain.asked.get());
    // A change at every block leaves no overlap to skip by, but neighbours hold each other's sets.
    let chain = Chain::new(1);
    wait(chain::forward(&chain, &chain.block(1), &chain.block(40), at(41))).unwrap();
    let far = STEPS_MAX as u64 * 4;
    let long = wait(chain::forward(&chain, &chain.block(1), &chain.block(far), at(far)));
    refused(long, "within");
}

#[test]
fn other_validators_are_not_believed() {
    let (chain, mut other) = (Chain::new(1_000), Chain::new(1_000));
    other.salt = 9;
    let from = chain.block(5);
    for height in [6, 7, 90] {
        let forged = other.block(height);
        chain::check_alone(&forged).unwrap();
        assert!(wait(chain::forward(&other, &from, &forged, at(100))).is_err(), "{height}");
    }
    // The true keys' set under a header of false ones.
    let mut mixed = other.block(90);
    mixed.validators = chain.set(90);
    refused(wait(chain::forward(&chain, &from, &mixed, at(100))), "not those whose hash");
    mixed = chain.block(90);
    mixed.next = other.set(91);
    refused(wait(chain::forward(&chain, &from, &mixed, at(100))), "next validators");
}

#[test]
fn a_changed_header_or_signature_is_refused() {
    let chain = Chain::new(1_000);
    let (from, now) = (chain.block(5), at(100));
    let forward = |block: &LightBlock| wait(chain::forward(&chain, &from, block, now));
    let mut forged = chain.block(90);
    forged.signed.header.app_hash = AppHash::try_from(vec![7; 32]).unwrap();
    refused(forward(&forged), "of another header");
    refused(chain::check_alone(&forged), "of another header");

    let mut forged = chain.block(90);
    for one in &mut forged.signed.commit.signatures {
        if let CommitSig::BlockIdFlagCommit { signature, .. } = one {
            *signature = Signature::new([1; 64]).unwrap();
        }
    }
    refused(forward(&forged), "not its validator's");

    let mut other = Chain::new(1_000);
    other.absent = 2;
    refused(forward(&other.block(90)), "two thirds");
    other.absent = 1;
    forward(&other.block(90)).unwrap();
    assert_eq!(chain::signers(&other.block(90)).unwrap().power, 30);

    let mut header = chain.bare(90);
    header.chain_id = "light-2".parse().unwrap();
    refused(forward(&chain.sign(header)), "light-2");
    let mut header = chain.bare(90);
    header.time = at(1_000);
    refused(forward(&chain.sign(header)), "clock");
    let mut header = chain.bare(90);
    header.time = at(1);
    assert!(forward(&chain.sign(header)).is_err(), "time runs forward");
}

#[test]
fn trust_ends() {
    let chain = Chain::new(1_000_000);
    let from = chain.block(5);
    let last = Duration::from_secs(TRUSTING_PERIOD_S);
    let end = at(5).checked_add(last).unwrap();
    let before = end.checked_sub(Duration::from_secs(1)).unwrap();
    assert!(chain::fresh(at(5), before) && !chain::fresh(at(5), end));
    wait(chain::forward(&chain, &from, &chain.block(90), before)).unwrap();
    refused(wait(chain::forward(&chain, &from, &chain.block(90), end)), "14 days");
}

#[test]
fn an_earlier_block_is_found_by_its_hash() {
    let chain = Linked::new(Chain::new(1_000), 700);
    let block = |height| wait(chain.light_block(height)).unwrap();
    wait(chain::backward(&chain, &block(60), &block(40))).unwrap();
    wait(chain::backward(&chain, &block(60), &block(59))).unwrap();
    refused(wait(chain::backward(&chain, &block(700), &block(40))), "at most");
    let mut other = Chain::new(1_000);
    other.salt = 4;
    let other = Linked::new(other, 60);
    let forged = wait(other.light_block(40)).unwrap();
    refused(wait(chain::backward(&chain, &block(60), &forged)), "another block");
    let mut unsigned = block(40);
    unsigned.signed.commit.signatures = vec![CommitSig::BlockIdFlagAbsent; 4];
    assert!(wait(chain::backward(&chain, &block(60), &unsigned)).is_err());
}

#[test]
fn told_addresses_and_powers_are_not_believed() {
    let set = Chain::new(10).set(5);
    let mut told = set.validators().clone();
    for one in &mut told {
        one.address = account::Id::new([1; 20]);
    }
    assert_eq!(chain::set(told.clone()).unwrap().validators(), set.validators());
    for one in &mut told {
        one.power = (i64::MAX as u64 / 2).try_into().unwrap();
    }
    refused(chain::set(told), "cannot be");
}
