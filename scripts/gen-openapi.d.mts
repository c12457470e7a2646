export function generateOpenapi(): string
