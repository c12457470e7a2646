/**
 * Waiting for the disk, together: what several have written goes out by one sync, and whoever writes meanwhile has the next
 * one. Nobody waits but for their own, and no other work does.
 */
export interface GroupSync {
  /** Something has been written since. */
  note(): void
  /** How often that was so. */
  noted(): number
  /** Resolves when what has been noted by now is on the disk. Errors: those of the sync that should have brought it there. */
  settle(): Promise<void>
}

/** `sync` brings out all that is written when it is called. */
export function createGroupSync(sync: () => Promise<void>): GroupSync {
  let written = 0
  let synced = 0
  let syncing: Promise<void> | undefined

  const syncOnce = async () => {
    const upTo = written
    try {
      await sync()
      synced = upTo
    } finally {
      syncing = undefined
    }
  }

  return {
    note: () => void written++,
    noted: () => written,
    async settle() {
      const wanted = written
      if (synced >= wanted) return
      // One that is under way may have begun before this was written, and its failure isn't this one's.
      await syncing?.catch(() => {})
      while (synced < wanted) {
        syncing ??= syncOnce()
        await syncing
      }
    },
  }
}
