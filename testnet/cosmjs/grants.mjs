// The published @cosmjs/stargate grants fees and messages, uses both, and reads accounts with locked money.
//   node grants.mjs RPC_URL MNEMONIC
import { DirectSecp256k1HdWallet } from "@cosmjs/proto-signing";
import { QueryClient, SigningStargateClient, accountFromAny, setupAuthExtension, setupAuthzExtension, setupBankExtension, setupFeegrantExtension } from "@cosmjs/stargate";
import { connectComet } from "@cosmjs/tendermint-rpc";
import { GenericAuthorization } from "cosmjs-types/cosmos/authz/v1beta1/authz";
import { SendAuthorization } from "cosmjs-types/cosmos/bank/v1beta1/authz";
import { MsgSend } from "cosmjs-types/cosmos/bank/v1beta1/tx";
import { AllowedMsgAllowance, BasicAllowance, PeriodicAllowance } from "cosmjs-types/cosmos/feegrant/v1beta1/feegrant";
import { MsgCreatePeriodicVestingAccount, MsgCreatePermanentLockedAccount } from "cosmjs-types/cosmos/vesting/v1beta1/tx";
import assert from "node:assert/strict";

const [rpc, mnemonic] = process.argv.slice(2);
const coins = (units) => [{ denom: "uxpl", amount: String(units) }];
const open = async (words) => {
  const wallet = words
    ? await DirectSecp256k1HdWallet.fromMnemonic(words, { prefix: "xpl" })
    : await DirectSecp256k1HdWallet.generate(12, { prefix: "xpl" });
  const [{ address }] = await wallet.getAccounts();
  const client = await SigningStargateClient.connectWithSigner(rpc, wallet);
  // Two that CosmJS has the types of and does not register by itself.
  client.registry.register("/cosmos.vesting.v1beta1.MsgCreatePermanentLockedAccount", MsgCreatePermanentLockedAccount);
  client.registry.register("/cosmos.vesting.v1beta1.MsgCreatePeriodicVestingAccount", MsgCreatePeriodicVestingAccount);
  return { address, client };
};
const [alice, bob] = [await open(mnemonic), await open()];
const fee = (granter) => ({ amount: coins(5000), gas: "1000000", ...(granter ? { granter } : {}) });
const run = (who, typeUrl, value, granter) => who.client.signAndBroadcast(who.address, [{ typeUrl, value }], fee(granter), "");
const done = async (...args) => {
  const result = await run(...args);
  assert.equal(result.code, 0, result.rawLog);
  return result;
};
const query = QueryClient.withExtensions(await connectComet(rpc), setupAuthExtension, setupAuthzExtension, setupBankExtension, setupFeegrantExtension);

// Fees: a newcomer acts on alice's money.
const grantFees = (typeUrl, value) =>
  done(alice, "/cosmos.feegrant.v1beta1.MsgGrantAllowance", { granter: alice.address, grantee: bob.address, allowance: { typeUrl, value } });
const periodic = PeriodicAllowance.fromPartial({
  basic: { spendLimit: coins(1000000) },
  period: { seconds: 3600n, nanos: 0 },
  periodSpendLimit: coins(500000),
  periodCanSpend: coins(500000),
  periodReset: { seconds: BigInt(Math.floor(Date.now() / 1000) + 3600), nanos: 0 },
});
const filter = AllowedMsgAllowance.fromPartial({
  allowance: { typeUrl: "/cosmos.feegrant.v1beta1.PeriodicAllowance", value: PeriodicAllowance.encode(periodic).finish() },
  allowedMessages: ["/cosmos.bank.v1beta1.MsgSend", "/cosmos.authz.v1beta1.MsgExec"],
});
await grantFees("/cosmos.feegrant.v1beta1.AllowedMsgAllowance", AllowedMsgAllowance.encode(filter).finish());
const send = (from, units) => ({ fromAddress: from.address, toAddress: alice.address, amount: coins(units) });
const paid = await done(bob, "/cosmos.bank.v1beta1.MsgSend", send(bob, 1), alice.address);
assert.equal(paid.events.find((event) => event.type === "tx").attributes.find(({ key }) => key === "fee_payer").value, alice.address);
const { allowance } = await query.feegrant.allowance(alice.address, bob.address);
assert.equal(allowance.allowance.typeUrl, "/cosmos.feegrant.v1beta1.AllowedMsgAllowance");
const left = PeriodicAllowance.decode(AllowedMsgAllowance.decode(allowance.allowance.value).allowance.value);
assert.equal(left.basic.spendLimit[0].amount, "995000");
assert.equal(left.periodCanSpend[0].amount, "495000");
assert.equal((await query.feegrant.allowances(bob.address)).allowances.length, 1);

// Messages: bob sends as alice, up to a limit.
const grant = (typeUrl, value) =>
  done(alice, "/cosmos.authz.v1beta1.MsgGrant", { granter: alice.address, grantee: bob.address, grant: { authorization: { typeUrl, value } } });
await grant("/cosmos.bank.v1beta1.SendAuthorization", SendAuthorization.encode(SendAuthorization.fromPartial({ spendLimit: coins(1000) })).finish());
const exec = (units) => {
  const value = MsgSend.encode(MsgSend.fromPartial({ ...send(alice, units), toAddress: bob.address })).finish();
  return run(bob, "/cosmos.authz.v1beta1.MsgExec", { grantee: bob.address, msgs: [{ typeUrl: "/cosmos.bank.v1beta1.MsgSend", value }] }, alice.address);
};
const before = BigInt((await query.bank.balance(bob.address, "uxpl")).amount);
const inside = await exec(600);
assert.equal(inside.code, 0, inside.rawLog);
assert.equal(BigInt((await query.bank.balance(bob.address, "uxpl")).amount), before + 600n);
assert.ok(inside.events.some((event) => event.type === "transfer" && event.attributes.some(({ key }) => key === "authz_msg_index")));
assert.equal((await exec(600)).code, 5);
const { grants } = await query.authz.grants(alice.address, bob.address, "");
assert.equal(SendAuthorization.decode(grants[0].authorization.value).spendLimit[0].amount, "400");
assert.equal((await query.authz.granterGrants(alice.address)).grants.length, 1);
await done(alice, "/cosmos.authz.v1beta1.MsgRevoke", { granter: alice.address, grantee: bob.address, msgTypeUrl: "/cosmos.bank.v1beta1.MsgSend" });
await grant("/cosmos.authz.v1beta1.GenericAuthorization", GenericAuthorization.encode({ msg: "/cosmos.bank.v1beta1.MsgSend" }).finish());
assert.equal((await query.authz.granteeGrants(bob.address)).grants[0].authorization.typeUrl, "/cosmos.authz.v1beta1.GenericAuthorization");

await done(alice, "/cosmos.feegrant.v1beta1.MsgRevokeAllowance", { granter: alice.address, grantee: bob.address });
await assert.rejects(run(bob, "/cosmos.bank.v1beta1.MsgSend", send(bob, 1), alice.address), /fee-grant not found/);
await grantFees("/cosmos.feegrant.v1beta1.BasicAllowance", BasicAllowance.encode(BasicAllowance.fromPartial({ spendLimit: coins(5000) })).finish());

// Locked money: each kind is an account that CosmJS knows.
const now = BigInt(Math.floor(Date.now() / 1000));
const vesting = "/cosmos.vesting.v1beta1.";
for (const [typeUrl, kind, rest] of [
  ["MsgCreateVestingAccount", "ContinuousVestingAccount", { amount: coins(1000000), endTime: now + 86400n, delayed: false }],
  ["MsgCreateVestingAccount", "DelayedVestingAccount", { amount: coins(1000000), endTime: now + 86400n, delayed: true }],
  ["MsgCreatePermanentLockedAccount", "PermanentLockedAccount", { amount: coins(1000000) }],
  ["MsgCreatePeriodicVestingAccount", "PeriodicVestingAccount", { startTime: now, vestingPeriods: [{ length: 3600n, amount: coins(1000000) }] }],
]) {
  const other = await open();
  const made = await run(alice, vesting + typeUrl, { fromAddress: alice.address, toAddress: other.address, ...rest });
  assert.equal(made.code, 0, made.rawLog);
  const any = await query.auth.account(other.address);
  assert.equal(any.typeUrl, vesting + kind);
  // CosmJS reads every kind but this one.
  if (kind === "PermanentLockedAccount") continue;
  assert.equal(accountFromAny(any).address, other.address);
  assert.equal((await other.client.getAccount(other.address)).sequence, 0);
  const sent = await run(other, "/cosmos.bank.v1beta1.MsgSend", send(other, 1)).catch((error) => error);
  assert.ok(/insufficient funds/.test(sent.rawLog ?? sent.message), sent.rawLog ?? sent.message);
}
console.log(JSON.stringify({ fees: "granted", messages: "granted", locked: 4 }));
for (const { client } of [alice, bob]) client.disconnect();
process.exit(0);
