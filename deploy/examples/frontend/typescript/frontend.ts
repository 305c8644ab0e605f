// Asks for a return on the bus and follows it to its end: node build/frontend.js ORDER_ID SKU [REASON]
import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";
import lz4 from "lz4-napi";
import type { Reason, ReturnRequest } from "./messages/ReturnRequest.js";
import type { ReturnStatusChanged } from "./messages/ReturnStatusChanged.js";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
// The services publish LZ4 frames; kafkajs leaves that codec to a package of your choice.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }: { buffer: Buffer }) => lz4.compressFrame(buffer),
  decompress: (buffer: Buffer) => lz4.decompressFrame(buffer),
});

const [order_id, sku, reason = "wrong_size"] = process.argv.slice(2);
if (!order_id || !sku) throw new Error("usage: frontend.js ORDER_ID SKU [REASON]");
const client = JSON.parse(process.env.KAFKA_CLIENT ?? '{"brokers": ["localhost:9092"]}');
const kafka = new Kafka({ clientId: "frontend", logLevel: logLevel.ERROR, ...client });

const request: ReturnRequest = {
  return_id: randomUUID(), // keep it: sent again, it is the same return
  order_id,
  lines: [{ sku, quantity: 1, reason: reason as Reason }],
  resolution: "refund",
  channel: { type: "webchat" },
  locale: "en-US",
  requested_at: new Date().toISOString(),
};

// One group for the whole frontend: it goes on where it stopped, so no change is ever missed.
const lifecycle = kafka.consumer({ groupId: "frontend" });
const producer = kafka.producer({ idempotent: true });
let end: () => void;
const ended = new Promise<void>((resolve) => (end = resolve));

await Promise.all([lifecycle.connect(), producer.connect()]);
await lifecycle.subscribe({ topic: "returns.lifecycle", fromBeginning: true });
await lifecycle.run({
  eachMessage: async ({ message }) => {
    const change = JSON.parse(String(message.value)) as ReturnStatusChanged;
    if (change.return_id !== request.return_id) return;
    console.log(JSON.stringify(change));
    if (change.waiting_on === "none") end();
  },
});
const value = JSON.stringify({ type: "ReturnRequest", ...request });
await producer.send({ topic: "returns.requests", messages: [{ key: order_id, value }] });
await ended;
await Promise.all([lifecycle.disconnect(), producer.disconnect()]);
