// The published @cosmjs/stargate gets chain id, account and balance, and sends XPL.
//   node send.mjs RPC_URL MNEMONIC
import { DirectSecp256k1HdWallet } from "@cosmjs/proto-signing";
import { GasPrice, SigningStargateClient } from "@cosmjs/stargate";
import assert from "node:assert/strict";

const [rpc, mnemonic] = process.argv.slice(2);
const wallet = await DirectSecp256k1HdWallet.fromMnemonic(mnemonic, { prefix: "xpl" });
const [{ address }] = await wallet.getAccounts();
const other = (await (await DirectSecp256k1HdWallet.generate(12, { prefix: "xpl" })).getAccounts())[0].address;
const client = await SigningStargateClient.connectWithSigner(rpc, wallet, { gasPrice: GasPrice.fromString("0.025uxpl") });

const chainId = await client.getChainId();
const account = await client.getAccount(address);
const before = BigInt((await client.getBalance(address, "uxpl")).amount);
assert.equal(account.address, address);
assert.equal(await client.getAccount(other), null);
const sent = await client.sendTokens(address, other, [{ denom: "uxpl", amount: "12345" }], "auto", "from CosmJS");
assert.equal(sent.code, 0, sent.rawLog);
assert.equal((await client.getBalance(other, "uxpl")).amount, "12345");
const after = BigInt((await client.getBalance(address, "uxpl")).amount);
assert.ok(before - after > 12345n);
const refused = await client.sendTokens(address, other, [{ denom: "uxpl", amount: "99999999999999" }], { amount: [{ denom: "uxpl", amount: "5000" }], gas: "200000" });
assert.equal(refused.code, 5);
console.log(JSON.stringify({ chainId, height: sent.height, gasUsed: String(sent.gasUsed), hash: sent.transactionHash, refused: refused.rawLog }));
client.disconnect();
