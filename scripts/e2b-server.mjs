#!/usr/bin/env node
import { pathToFileURL } from 'node:url'
import { paths } from './setup/paths.mjs'
import { purposeOf } from './setup/purpose-of.mjs'
/**
 * The program `e2b-server`: prepares what the command needs, then runs the server's bundle in this process, so that
 * signals and standard streams are the server's own.
 */
import { setUp } from './setup/set-up.mjs'

await setUp(await purposeOf(process.argv.slice(2), process.env))
process.setSourceMapsEnabled(true)
await import(pathToFileURL(paths.bundle).href)
