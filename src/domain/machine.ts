/** The machine that sandboxes run on, as its operator sees it. */
export interface Machine {
  memory(): { totalBytes: number; availableBytes: number }
  /** What may still be written to each of those file systems, in bytes: all that a start has to know of them. */
  freeBytes(): number[]
  /** The file systems that the server and its sandboxes write to. */
  disks(): Promise<Disk[]>
  cpu(): Cpu
}

export interface Disk {
  mountPoint: string
  device: string
  /** E.g. `ext4` */
  filesystemType: string
  totalBytes: number
  usedBytes: number
  /** What this program may still write; less than what isn't used where some is kept for root */
  freeBytes: number
}

export interface Cpu {
  count: number
  /** 0 … 100 over all of them, since the last question but for at least a second */
  percent: number
  architecture: string
  /** As /proc/cpuinfo numbers them; empty where it doesn't */
  family: string
  model: string
  modelName: string
}
