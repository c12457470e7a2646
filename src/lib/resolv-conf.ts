/** What stands before name servers in resolv.conf that a server's responder for its domain has taken the place of. */
export const asidePrefix = (domain: string) => `#e2b-server ${domain}# `
