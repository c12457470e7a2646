/** The RPCs on files (e2b-wire 3.3). */
import { listDir as listGuest } from '../../guest/list-dir.ts'
import { makeDir as makeGuestDir } from '../../guest/make-dir.ts'
import { move as moveGuest } from '../../guest/move.ts'
import { remove as removeGuest } from '../../guest/remove.ts'
import { stat as statGuest } from '../../guest/stat.ts'
import {
  EntryInfoSchema,
  ListDirRequestSchema,
  MakeDirRequestSchema,
  MakeDirResponseSchema,
  MoveRequestSchema,
  MoveResponseSchema,
  RemoveRequestSchema,
  RemoveResponseSchema,
  StatRequestSchema,
  StatResponseSchema,
} from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { mapBatches } from '../rpc/map-batches.ts'
import type { ListMethod, UnaryMethod } from '../rpc/unary-handler.ts'
import { toEntryInfo } from './entry-info.ts'

export const stat: UnaryMethod<typeof StatRequestSchema, typeof StatResponseSchema> = {
  input: StatRequestSchema,
  output: StatResponseSchema,
  async serve({ target, user, signal }, { path }) {
    return { entry: toEntryInfo(await statGuest(target.guest, { path, ...user }, signal)) }
  },
}

export const makeDir: UnaryMethod<typeof MakeDirRequestSchema, typeof MakeDirResponseSchema> = {
  input: MakeDirRequestSchema,
  output: MakeDirResponseSchema,
  async serve({ target, user, signal }, { path }) {
    return { entry: toEntryInfo(await makeGuestDir(target.guest, { path, ...user }, signal)) }
  },
}

export const move: UnaryMethod<typeof MoveRequestSchema, typeof MoveResponseSchema> = {
  input: MoveRequestSchema,
  output: MoveResponseSchema,
  async serve({ target, user, signal }, { source, destination }) {
    return { entry: toEntryInfo(await moveGuest(target.guest, { source, destination, ...user }, signal)) }
  },
}

export const listDir: ListMethod<typeof ListDirRequestSchema, typeof EntryInfoSchema> = {
  input: ListDirRequestSchema,
  item: EntryInfoSchema,
  field: { number: 1, name: 'entries' },
  async serve({ target, user, signal }, { path, depth }) {
    const request = { path, depth: Math.max(depth, 1), ...user }
    return mapBatches(await listGuest(target.guest, request, signal), toEntryInfo)
  },
}

export const remove: UnaryMethod<typeof RemoveRequestSchema, typeof RemoveResponseSchema> = {
  input: RemoveRequestSchema,
  output: RemoveResponseSchema,
  async serve({ target, user, signal }, { path }) {
    await removeGuest(target.guest, { path, ...user }, signal)
    return {}
  },
}
