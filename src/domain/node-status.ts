/** `draining`: what runs goes on, nothing new starts. */
export type NodeStatus = 'ready' | 'draining'

/** What operators have decided about nodes; it outlives restarts. */
export interface NodeStatusStore {
  /** `ready` for a node of which nothing is known. */
  get(nodeId: string): Promise<NodeStatus>
  set(nodeId: string, status: NodeStatus): Promise<void>
}
