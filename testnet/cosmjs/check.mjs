// The published CosmJS reads accounts, blocks and transactions, sends XPL and listens for blocks.
//   node check.mjs RPC_URL MNEMONIC
import { DirectSecp256k1HdWallet } from "@cosmjs/proto-signing";
import { GasPrice, QueryClient, SigningStargateClient, setupAuthExtension, setupBankExtension, setupTxExtension } from "@cosmjs/stargate";
import { Comet38Client } from "@cosmjs/tendermint-rpc";
import assert from "node:assert/strict";

const [rpc, mnemonic] = process.argv.slice(2);
const wallet = await DirectSecp256k1HdWallet.fromMnemonic(mnemonic, { prefix: "xpl" });
const [{ address }] = await wallet.getAccounts();
const other = (await (await DirectSecp256k1HdWallet.generate(12, { prefix: "xpl" })).getAccounts())[0].address;
const options = { gasPrice: GasPrice.fromString("0.025uxpl") };
const client = await SigningStargateClient.connectWithSigner(rpc, wallet, options);

// Reads.
const chainId = await client.getChainId();
const account = await client.getAccount(address);
assert.equal(account.address, address);
assert.equal(account.pubkey, null);
assert.equal(await client.getAccount(other), null);
assert.deepEqual(await client.getSequence(address), { accountNumber: account.accountNumber, sequence: 0 });
const before = BigInt((await client.getBalance(address, "uxpl")).amount);
assert.deepEqual(await client.getAllBalances(address), [{ denom: "uxpl", amount: String(before) }]);
const block = await client.getBlock();
assert.equal(block.header.chainId, chainId);
assert.equal((await client.getBlock(1)).header.height, 1);

// Sends, and finds what was sent.
const sent = await client.sendTokens(address, other, [{ denom: "uxpl", amount: "12345" }], "auto", "from CosmJS");
assert.equal(sent.code, 0, sent.rawLog);
assert.equal(sent.msgResponses[0].typeUrl, "/cosmos.bank.v1beta1.MsgSendResponse");
assert.equal((await client.getBalance(other, "uxpl")).amount, "12345");
assert.ok(before - BigInt((await client.getBalance(address, "uxpl")).amount) > 12345n);
const found = await client.getTx(sent.transactionHash);
assert.equal(found.height, sent.height);
assert.ok(found.events.some((event) => event.type === "transfer"));
// Its block holds it behind the block's own entry.
const [own, ...others] = await client.searchTx(`tx.height=${sent.height}`);
assert.equal(own.tx[0], 0);
assert.deepEqual(others.map((tx) => tx.hash), [sent.transactionHash]);
assert.equal((await client.searchTx([{ key: "message.sender", value: address }]))[0].hash, sent.transactionHash);
assert.deepEqual(await client.searchTx("transfer.recipient='nobody'"), []);
assert.equal(await client.getTx("0".repeat(64)), null);

// A refusal keeps its code; in its block too.
const fee = { amount: [{ denom: "uxpl", amount: "5000" }], gas: "200000" };
const refused = await client.sendTokens(address, other, [{ denom: "uxpl", amount: "99999999999999" }], fee);
assert.equal(refused.code, 5);
const kept = await client.getTx(refused.transactionHash);
assert.deepEqual([kept.code, kept.rawLog], [5, refused.rawLog]);

// The query extensions.
const comet = await Comet38Client.connect(rpc);
const query = QueryClient.withExtensions(comet, setupAuthExtension, setupBankExtension, setupTxExtension);
assert.equal((await query.bank.supplyOf("uxpl")).denom, "uxpl");
assert.equal((await query.bank.denomMetadata("uxpl")).display, "xpl");
assert.ok((await query.bank.totalSupply()).supply.length > 0);
assert.equal((await query.tx.getTx(sent.transactionHash)).txResponse.txhash, sent.transactionHash);
assert.equal((await comet.validators({ height: sent.height, per_page: 10, page: 1 })).total, 1);

// Listens over a WebSocket: a block, and a transaction.
const socket = await Comet38Client.connect(rpc.replace(/^http/, "ws"));
const first = (stream) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error("nothing was heard")), 30_000);
  stream.subscribe({ next: (event) => { clearTimeout(timer); resolve(event); }, error: reject });
});
const heardBlock = first(socket.subscribeNewBlock());
const heardTx = first(socket.subscribeTx(`message.sender='${address}'`));
const next = await client.sendTokens(address, other, [{ denom: "uxpl", amount: "2" }], "auto");
assert.ok((await heardBlock).header.height > 1);
assert.equal((await heardTx).height, next.height);
socket.disconnect();

console.log(JSON.stringify({ chainId, height: sent.height, gasUsed: String(sent.gasUsed), hash: sent.transactionHash, refused: refused.rawLog }));
comet.disconnect();
client.disconnect();
// The WebSocket's timers would hold node up for half a minute.
process.exit(0);
