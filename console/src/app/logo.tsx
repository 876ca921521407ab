/** The small gate. */
export function Logo({ size = 26 }: { readonly size?: number }) {
  return (
    <svg className="logo" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" className="logo-ground" />
      <path d="M9 25V14a7 7 0 0 1 14 0v11h-4.2V14.2a2.8 2.8 0 0 0-5.6 0V25Z" className="logo-gate" />
      <circle cx="16" cy="20" r="1.7" className="logo-gate" />
    </svg>
  );
}
