// Generated from contracts/schemas/ReturnRequest.json by types.mjs; not to be edited.

export type ChannelType = "webchat" | "whatsapp" | "messenger" | "instagram" | "api" | "ucp" | "mcp" | "unknown";
export type EvidenceKind = "image" | "document" | "text" | "unknown";
export type EvidencePurpose = "proof_of_sending" | "serial_number" | "unknown";
export type Condition = "unopened" | "opened" | "worn" | "damaged" | "unknown";
export type Reason =
  | "changed_mind"
  | "wrong_size"
  | "defective"
  | "damaged_in_transit"
  | "wrong_item"
  | "not_as_described"
  | "arrived_late"
  | "other"
  | "unknown";
export type VerifiedBy = "session" | "signed_link" | "order_number_and_email" | "none" | "unknown";
export type Resolution = "refund" | "store_credit" | "replacement" | "exchange" | "unknown";
export type Method = "original_payment_method" | "store_credit" | "bank_transfer" | "new_method" | "unknown";

export interface ReturnRequest {
  channel?: Channel;
  claim?: Claim | null;
  currency?: string | null;
  /**
   * @maxItems 20
   */
  evidence?: Evidence[];
  /**
   * @minItems 1
   * @maxItems 200
   */
  lines: [RequestLine, ...RequestLine[]];
  locale?: string;
  merchant_decision?: MerchantDecision | null;
  order_id?: string | null;
  quote_id?: string | null;
  replacement_sku?: string | null;
  requested_amount?: number | null;
  requested_at: string;
  requester?: Requester | null;
  resolution: Resolution;
  return_id: string;
  settlement?: RequestedSettlement | null;
  statutory_withdrawal?: boolean;
}
export interface Channel {
  conversation_id?: string | null;
  test?: boolean;
  type: ChannelType;
}
/**
 * What somebody without an order id remembers of the order.
 */
export interface Claim {
  email?: string | null;
  last4?: string | null;
  order_number?: string | null;
  phone?: string | null;
  purchased_on?: string | null;
}
export interface Evidence {
  evidence_id: string;
  kind: EvidenceKind;
  media_type?: string | null;
  purpose?: EvidencePurpose | null;
  sha256?: string | null;
  text?: string | null;
  url?: string | null;
}
export interface RequestLine {
  condition?: Condition | null;
  line_id?: string | null;
  note?: string | null;
  quantity: number;
  reason: Reason;
  sku: string;
}
export interface MerchantDecision {
  approved: boolean;
  decided_by: string;
  note?: string | null;
}
export interface Requester {
  customer_id?: string | null;
  verified_by?: VerifiedBy;
}
export interface RequestedSettlement {
  method: Method;
}
