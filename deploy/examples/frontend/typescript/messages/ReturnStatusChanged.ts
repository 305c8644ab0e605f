// Generated from contracts/schemas/ReturnStatusChanged.json by types.mjs; not to be edited.

export type Status =
  | "requested"
  | "assessing"
  | "awaiting_review"
  | "rejected"
  | "cancelled"
  | "expired"
  | "awaiting_physical_receipt"
  | "in_transit"
  | "physically_received"
  | "quality_check"
  | "pending_settlement"
  | "settled"
  | "settlement_failed"
  | "unknown";
/**
 * Who has to act next.
 */
export type Party = "customer" | "fulfillment" | "payment" | "reviewer" | "commerce" | "none" | "unknown";

/**
 * ``number`` counts 1, 2, … within a return: the order to trust.
 */
export interface ReturnStatusChanged {
  changed_at: string;
  explanation: string;
  number: number;
  order_id?: string | null;
  previous?: Status | null;
  refund_due?: string | null;
  return_id: string;
  status: Status;
  until?: string | null;
  waiting_on: Party;
}
