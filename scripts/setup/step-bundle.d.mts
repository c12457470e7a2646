import type { BuildOptions } from 'esbuild'

/** What esbuild is asked for. `outdir`: a folder of the checkout */
export function bundleOptions(options: {
  root: string
  entryPoints: { in: string; out: string }[]
  outdir: string
}): BuildOptions
