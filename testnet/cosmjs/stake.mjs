// The published @cosmjs/stargate stakes, moves stake and takes it back, fetches what it earned, proposes and votes: signed
// directly and as amino JSON; and its query extensions read all of it.
//   node stake.mjs RPC_URL MNEMONIC
import { Secp256k1HdWallet } from "@cosmjs/amino";
import { Random } from "@cosmjs/crypto";
import { fromBech32, toBech32 } from "@cosmjs/encoding";
import { DirectSecp256k1HdWallet } from "@cosmjs/proto-signing";
import { QueryClient, SigningStargateClient, setupDistributionExtension, setupGovExtension, setupMintExtension, setupSlashingExtension, setupStakingExtension } from "@cosmjs/stargate";
import { connectComet } from "@cosmjs/tendermint-rpc";
import { PubKey } from "cosmjs-types/cosmos/crypto/ed25519/keys";
import { ProposalStatus, TextProposal, VoteOption } from "cosmjs-types/cosmos/gov/v1beta1/gov";
import { MsgSubmitProposal as MsgSubmitV1, MsgVote as MsgVoteV1 } from "cosmjs-types/cosmos/gov/v1/tx";
import assert from "node:assert/strict";

const [rpc, mnemonic] = process.argv.slice(2);
const coin = (units) => ({ denom: "uxpl", amount: String(units) });
const open = async (Wallet) => {
  const wallet = await Wallet.fromMnemonic(mnemonic, { prefix: "xpl" });
  const client = await SigningStargateClient.connectWithSigner(rpc, wallet);
  client.registry.register("/cosmos.gov.v1.MsgSubmitProposal", MsgSubmitV1);
  client.registry.register("/cosmos.gov.v1.MsgVote", MsgVoteV1);
  return client;
};
const direct = await open(DirectSecp256k1HdWallet);
const amino = await open(Secp256k1HdWallet);
const [{ address }] = await (await DirectSecp256k1HdWallet.fromMnemonic(mnemonic, { prefix: "xpl" })).getAccounts();
const fee = { amount: [coin(20000)], gas: "1200000" };
const send = async (client, typeUrl, value) => {
  const done = await client.signAndBroadcast(address, [{ typeUrl, value }], fee, "");
  assert.equal(done.code, 0, `${typeUrl}: ${done.rawLog}`);
  return done;
};
const comet = await connectComet(rpc);
const query = QueryClient.withExtensions(comet, setupDistributionExtension, setupGovExtension, setupMintExtension, setupSlashingExtension, setupStakingExtension);
const height = async () => (await comet.status()).syncInfo.latestBlockHeight;
const until = async (what, look) => {
  for (let round = 0; round < 600; round += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((again) => setTimeout(again, 100));
  }
  throw new Error(`waited in vain for ${what}`);
};

// Who validates.
const { validators } = await query.staking.validators("BOND_STATUS_BONDED");
assert.equal(validators.length, 1);
const [first] = validators.map((one) => one.operatorAddress);
assert.equal(validators[0].description.moniker, "node0");
assert.deepEqual([validators[0].tokens, validators[0].delegatorShares], ["1000000000000", `1000000000000${"0".repeat(18)}`]);
assert.equal(PubKey.decode(validators[0].consensusPubkey.value).key.length, 32);
const params = (await query.staking.params()).params;
assert.deepEqual([params.bondDenom, params.maxValidators, params.unbondingTime.seconds], ["uxpl", 100, 1814400n]);
assert.equal((await query.staking.pool()).pool.bondedTokens, "1000000000000");

// A validator of one's own, in the bech32 of operators.
const second = toBech32("xplvaloper", fromBech32(address).data);
const create = {
  // CosmJS signs empty texts in amino, which the SDK's own encoder leaves out: so all of them are set.
  description: { moniker: "CosmJS", identity: "0", website: "https://cosmjs.example", securityContact: "a@cosmjs.example", details: "one" },
  commission: { rate: "50000000000000000", maxRate: "200000000000000000", maxChangeRate: "10000000000000000" },
  minSelfDelegation: "1000000", delegatorAddress: address, validatorAddress: second,
  pubkey: { typeUrl: "/cosmos.crypto.ed25519.PubKey", value: PubKey.encode({ key: Random.getBytes(32) }).finish() },
  value: coin(5_000_000),
};
await send(amino, "/cosmos.staking.v1beta1.MsgCreateValidator", create);
const made = (await query.staking.validator(second)).validator;
assert.deepEqual([made.description.moniker, made.commission.commissionRates.rate], ["CosmJS", "50000000000000000"]);
await send(direct, "/cosmos.staking.v1beta1.MsgEditValidator", {
  description: { moniker: "Edited", identity: "[do-not-modify]", website: "[do-not-modify]", securityContact: "[do-not-modify]", details: "[do-not-modify]" },
  commissionRate: "", minSelfDelegation: "", validatorAddress: second,
});
assert.equal((await query.staking.validator(second)).validator.description.moniker, "Edited");

// Stake: each way of signing each message.
const staking = "/cosmos.staking.v1beta1.";
for (const client of [direct, amino]) {
  await send(client, `${staking}MsgDelegate`, { delegatorAddress: address, validatorAddress: first, amount: coin(100_000_000_000) });
  await send(client, `${staking}MsgUndelegate`, { delegatorAddress: address, validatorAddress: first, amount: coin(2_000_000) });
  await send(client, `${staking}MsgBeginRedelegate`, { delegatorAddress: address, validatorSrcAddress: first, validatorDstAddress: second, amount: coin(1_000_000) });
}
const delegation = (await query.staking.delegation(address, first)).delegationResponse;
assert.deepEqual(delegation.balance, coin(199_994_000_000));
assert.equal(delegation.delegation.shares, `199994000000${"0".repeat(18)}`);
assert.equal((await query.staking.delegatorDelegations(address)).delegationResponses.length, 2);
const { entries } = (await query.staking.unbondingDelegation(address, first)).unbond;
assert.deepEqual(entries.map(({ balance, initialBalance }) => [balance, initialBalance]), [["2000000", "2000000"], ["2000000", "2000000"]]);
assert.equal((await query.staking.delegatorUnbondingDelegations(address)).unbondingResponses.length, 1);
assert.equal((await query.staking.validatorUnbondingDelegations(first)).unbondingResponses.length, 1);
assert.equal((await query.staking.validatorDelegations(second)).delegationResponses.length, 1);
assert.equal((await query.staking.delegatorValidators(address)).validators.length, 2);
assert.equal((await query.staking.delegatorValidator(address, first)).validator.operatorAddress, first);
const moved = (await query.staking.redelegations(address, first, second)).redelegationResponses;
assert.equal(moved[0].entries.length, 2);
assert.equal(moved[0].entries[0].balance, "1000000");
const past = await query.staking.historicalInfo((await height()) - 1);
assert.ok(past.hist.valset.length >= 1);
for (const client of [direct, amino]) {
  await send(client, `${staking}MsgCancelUnbondingDelegation`, {
    delegatorAddress: address, validatorAddress: first, amount: coin(1_000_000), creationHeight: entries[0].creationHeight,
  });
}
assert.equal((await query.staking.unbondingDelegation(address, first)).unbond.entries.length, 1);
await assert.rejects(query.staking.delegation(address, "nonsense"), /bech32|address/);

// What it earns: decimals are integers scaled by 10^18.
const distribution = "/cosmos.distribution.v1beta1.";
const rewards = await until("rewards", async () => {
  const { rewards } = await query.distribution.delegationRewards(address, first);
  return rewards.length > 0 && BigInt(rewards[0].amount) > 10n ** 18n ? rewards : undefined;
});
assert.equal(rewards[0].denom, "uxpl");
const total = await query.distribution.delegationTotalRewards(address);
assert.ok(total.rewards.some((one) => one.validatorAddress === first) && BigInt(total.total[0].amount) > 0n);
for (const client of [direct, amino]) {
  const done = await send(client, `${distribution}MsgWithdrawDelegatorReward`, { delegatorAddress: address, validatorAddress: first });
  const event = done.events.find(({ type }) => type === "withdraw_rewards");
  assert.match(event.attributes.find(({ key }) => key === "amount").value, /^[1-9][0-9]*uxpl$/);
}
await send(amino, `${distribution}MsgSetWithdrawAddress`, { delegatorAddress: address, withdrawAddress: address });
assert.equal((await query.distribution.delegatorWithdrawAddress(address)).withdrawAddress, address);
await send(direct, `${distribution}MsgFundCommunityPool`, { depositor: address, amount: [coin(3_000_000)] });
assert.ok(BigInt((await query.distribution.communityPool()).pool[0].amount) >= 3_000_000n * 10n ** 18n);
assert.equal((await query.distribution.delegatorValidators(address)).validators.length, 2);
assert.ok((await query.distribution.params()).params.communityTax.length > 0);
assert.ok(BigInt((await query.distribution.validatorCommission(first)).commission.commission[0].amount) > 0n);
assert.ok((await query.distribution.validatorOutstandingRewards(first)).rewards.rewards.length > 0);
assert.deepEqual((await query.distribution.validatorSlashes(first, 1, 1000)).slashes, []);

// Inflation and signing.
const mint = await query.mint.params();
assert.deepEqual([mint.mintDenom, mint.inflationMax.toString(), mint.goalBonded.toString()], ["uxpl", "0.08", "0.6"]);
const inflation = (await query.mint.inflation()).toFloatApproximation();
assert.ok(inflation > 0.02 && inflation < 0.08, String(inflation));
assert.ok((await query.mint.annualProvisions()).toFloatApproximation() > 0);
const set = await comet.validators({ height: await height(), per_page: 10, page: 1 });
const cons = toBech32("xplvalcons", set.validators[0].address);
const info = (await query.slashing.signingInfo(cons)).valSigningInfo;
assert.deepEqual([info.address, info.tombstoned], [cons, false]);
assert.ok((await query.slashing.signingInfos()).info.length >= 1);
const slashing = (await query.slashing.params()).params;
assert.equal(slashing.signedBlocksWindow, 10000n);
assert.equal(new TextDecoder().decode(slashing.slashFractionDoubleSign), "50000000000000000");

// Proposals: v1beta1 as CosmJS knows it, signed both ways; v1 beside it.
const gov = "/cosmos.gov.v1beta1.";
const text = { typeUrl: `${gov}TextProposal`, value: TextProposal.encode({ title: "Blue", description: "Is it nicer?" }).finish() };
let id = 0n;
for (const client of [direct, amino]) {
  const done = await send(client, `${gov}MsgSubmitProposal`, { content: text, initialDeposit: [coin(4_000_000)], proposer: address });
  id = BigInt(done.events.find(({ type }) => type === "submit_proposal").attributes.find(({ key }) => key === "proposal_id").value);
  await send(client, `${gov}MsgDeposit`, { proposalId: id, depositor: address, amount: [coin(6_000_000)] });
  await send(client, `${gov}MsgVote`, { proposalId: id, voter: address, option: VoteOption.VOTE_OPTION_NO });
  await send(client, `${gov}MsgVoteWeighted`, { proposalId: id, voter: address, options: [
    { option: VoteOption.VOTE_OPTION_YES, weight: "750000000000000000" }, { option: VoteOption.VOTE_OPTION_ABSTAIN, weight: "250000000000000000" },
  ] });
}
const { proposal } = await query.gov.proposal(id.toString());
assert.deepEqual([proposal.proposalId, proposal.status, proposal.content.typeUrl], [id, ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD, `${gov}TextProposal`]);
assert.equal(TextProposal.decode(proposal.content.value).title, "Blue");
assert.deepEqual(proposal.totalDeposit, [coin(10_000_000)]);
assert.equal((await query.gov.proposals(ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD, "", "")).proposals.length, 2);
assert.equal((await query.gov.deposit(id.toString(), address)).deposit.amount[0].amount, "10000000");
assert.equal((await query.gov.deposits(id.toString())).deposits.length, 1);
const { vote } = await query.gov.vote(id.toString(), address);
assert.deepEqual(vote.options.map(({ weight }) => weight), ["750000000000000000", "250000000000000000"]);
assert.equal((await query.gov.votes(id.toString())).votes.length, 1);
const staked = (await query.staking.delegatorDelegations(address)).delegationResponses.reduce((sum, one) => sum + BigInt(one.balance.amount), 0n);
const { tally } = await query.gov.tally(id.toString());
// The other validator's operator says nothing, and its own stake is not counted then.
assert.deepEqual([tally.yes, tally.abstain, tally.no], [String(staked * 3n / 4n), String(staked / 4n), "0"]);
const tallying = (await query.gov.params("tallying")).tallyParams;
assert.equal(new TextDecoder().decode(tallying.quorum), "334000000000000000");
assert.equal((await query.gov.params("deposit")).depositParams.minDeposit[0].amount, "10000000");
assert.equal((await query.gov.params("voting")).votingParams.votingPeriod.seconds, 3600n);
const v1 = await send(direct, "/cosmos.gov.v1.MsgSubmitProposal", MsgSubmitV1.fromPartial({
  messages: [], initialDeposit: [coin(10_000_000)], proposer: address, metadata: "none", title: "Green", summary: "Or that?",
}));
const third = BigInt(v1.events.find(({ type }) => type === "submit_proposal").attributes.find(({ key }) => key === "proposal_id").value);
await send(direct, "/cosmos.gov.v1.MsgVote", MsgVoteV1.fromPartial({ proposalId: third, voter: address, option: VoteOption.VOTE_OPTION_YES }));
assert.equal((await query.gov.proposal(third.toString())).proposal.content.typeUrl, `${gov}TextProposal`);

console.log(JSON.stringify({ staked: String(staked), proposals: Number(third), inflation }));
for (const client of [direct, amino, comet]) client.disconnect();
process.exit(0);
