// The published @cosmjs/stargate signs amino JSON, as a Ledger does: alone, and two of three in a multisig.
//   node sign.mjs RPC_URL MNEMONIC
import { createMultisigThresholdPubkey, isMultisigThresholdPubkey, pubkeyToAddress, Secp256k1HdWallet } from "@cosmjs/amino";
import { stringToPath } from "@cosmjs/crypto";
import { calculateFee, makeMultisignedTxBytes, QueryClient, setupTxExtension, SigningStargateClient } from "@cosmjs/stargate";
import { connectComet } from "@cosmjs/tendermint-rpc";
import assert from "node:assert/strict";

const [rpc, mnemonic] = process.argv.slice(2);
const price = "0.025uxpl";
const wallets = await Promise.all([0, 1, 2].map((i) =>
  Secp256k1HdWallet.fromMnemonic(mnemonic, { prefix: "xpl", hdPaths: [stringToPath(`m/44'/118'/0'/0/${i}`)] })));
const accounts = (await Promise.all(wallets.map((wallet) => wallet.getAccounts()))).map(([account]) => account);
const keys = accounts.map(({ pubkey }) => ({ type: "tendermint/PubKeySecp256k1", value: Buffer.from(pubkey).toString("base64") }));
const group = createMultisigThresholdPubkey(keys, 2);
const address = pubkeyToAddress(group, "xpl");

const client = await SigningStargateClient.connectWithSigner(rpc, wallets[0]);
const chainId = await client.getChainId();
const coins = (amount) => [{ denom: "uxpl", amount }];
const paid = await client.sendTokens(accounts[0].address, address, coins("1000000"), calculateFee(200_000, price), "amino <JSON> & \"é\"");
assert.equal(paid.code, 0, paid.rawLog);

const send = { typeUrl: "/cosmos.bank.v1beta1.MsgSend", value: { fromAddress: address, toAddress: accounts[0].address, amount: coins("1234") } };
const queries = QueryClient.withExtensions(await connectComet(rpc), setupTxExtension);
const { gasInfo } = await queries.tx.simulate([client.registry.encodeAsAny(send)], "", group, 0);
const multi = async (sequence, signers) => {
  const { accountNumber } = await client.getSequence(address);
  const fee = calculateFee(Number(gasInfo.gasUsed), price);
  const signed = await Promise.all(signers.map(async (at) => {
    const offline = await SigningStargateClient.offline(wallets[at]);
    return [accounts[at].address, await offline.sign(accounts[at].address, [send], fee, "", { accountNumber, sequence, chainId })];
  }));
  const signatures = new Map(signed.map(([from, { signatures }]) => [from, signatures[0]]));
  return client.broadcastTx(makeMultisignedTxBytes(group, sequence, fee, signed[0][1].bodyBytes, signatures));
};
// The gas of the simulation is enough for the threshold.
const first = await multi(0, [0, 2]);
assert.equal(first.code, 0, first.rawLog);
const account = await client.getAccount(address);
assert.ok(isMultisigThresholdPubkey(account.pubkey));
assert.deepEqual(account.pubkey, group);
assert.equal(account.sequence, 1);
const second = await multi(1, [2, 1]);
assert.equal(second.code, 0, second.rawLog);
await assert.rejects(multi(2, [1]), /not enough signatures set, have 1, expected 2/);
console.log(JSON.stringify({ chainId, address, gasSimulated: String(gasInfo.gasUsed), gasUsed: String(first.gasUsed) }));
client.disconnect();
