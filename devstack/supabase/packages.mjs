// Preloaded (`node --import`): finds npm packages in SUPABASE_PACKAGES/node_modules, outside the source tree.
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

const home = pathToFileURL(`${process.env.SUPABASE_PACKAGES}/`).href
const ours = new URL('./', import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const bare = !/^(node:|\.{0,2}\/|file:)/.test(specifier)
    return next(specifier, bare && context.parentURL?.startsWith(ours) ? { ...context, parentURL: home } : context)
  },
})
