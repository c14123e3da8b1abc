/** What the public functions answer with. */

/** How this thread stands. */
export interface Status {
  /** New handles are tsloop's. */
  readonly active: boolean;
  /** Why not, as a permanent code; null when active. */
  readonly reason: string | null;
  /** `inline` or `offload`: who has the seat; the configured choice while no handle has been made. */
  readonly driver: 'auto' | 'inline' | 'offload' | 'random' | null;
  /** Of the copy that is in force. */
  readonly version: string;
}

/** What the native part was built from. */
export interface BuildInfo {
  readonly version: string;
  readonly target: string;
  readonly profile: string;
}
