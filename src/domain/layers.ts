/**
 * Images as lists of layers, for runtimes without an engine. Layers are directories that a privileged helper keeps and
 * mounts (`spec/host.md`); which of them an image is, and how it wants to be run, is the server's to know.
 */
import type { Images } from './images.ts'

/** What a helper does with layers. Names have 1 to 64 of `[a-z0-9]`. Errors of every method: those of `Runtime`. */
export interface LayerHost {
  /** Where a file has to be put to be an upload of that name; absolute */
  uploadPath(upload: string): string
  /** A new layer of an upload, the uncompressed tar of an OCI layer. Errors: `conflict` (layer), `invalid_argument` (tar), `resource_exhausted` (disk). */
  unpack(upload: string, layer: string, signal: AbortSignal): Promise<{ sizeBytes: number; entries: number }>
  /** A new layer with what these, lowest first, show together. Errors: `not_found`, `conflict`, `resource_exhausted`. */
  flatten(layers: readonly string[], layer: string, signal: AbortSignal): Promise<{ sizeBytes: number }>
  /** Idempotent. Errors: `conflict` while a guest is made of it. */
  removeLayer(layer: string, signal: AbortSignal): Promise<void>
  /** All that are whole. */
  layers(signal: AbortSignal): Promise<string[]>
  /** Gives the machine's other helpers a layer. Idempotent. Errors: `not_found`, `unimplemented` (helpers share nothing). */
  share(layer: string, signal: AbortSignal): Promise<void>
  /** Takes a layer that helpers share. Idempotent. Errors: `not_found`, `unimplemented`. */
  adopt(layer: string, signal: AbortSignal): Promise<void>
  /** What was adopted stays. Idempotent. Errors: `conflict` within an hour of its last `share`, `unimplemented`. */
  removeShared(layer: string, signal: AbortSignal): Promise<void>
  /** All that are shared. Errors: `unimplemented`. */
  sharedLayers(signal: AbortSignal): Promise<string[]>
}

/** Images that are lists of layers. */
export interface LayeredImages extends Images {
  /** The layers that a guest of it is made of, lowest first. Errors: `not_found`. */
  layersOf(image: string, signal: AbortSignal): Promise<string[]>
  /**
   * Records an image of this server's: of these layers, lowest first, run as another image is. On failure there is no such image.
   * `brief`: it may come onto the disk later. Errors: `not_found` (from), `conflict` (image), `invalid_argument` (name).
   */
  add(
    image: string,
    made: { from: string; layers: readonly string[]; sizeBytes: number; brief?: boolean },
    signal: AbortSignal,
  ): Promise<void>
  /** Lets go of what it holds. */
  close(): Promise<void>
}
