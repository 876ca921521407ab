/** Buttons, and links that look like them. */
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Link } from "../lib/router.tsx";
import { Icon, type IconName } from "./icons.tsx";

export type ButtonLook = "plain" | "primary" | "danger" | "allow" | "quiet";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: ButtonLook;
  readonly icon?: IconName;
  readonly large?: boolean;
  /** Something is under way: it cannot be pressed again. */
  readonly busy?: boolean;
  /** A key that does the same. */
  readonly hint?: string;
}

export function Button({
  look = "plain",
  icon,
  large = false,
  busy = false,
  hint,
  className,
  children,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      aria-disabled={busy || rest.disabled === true}
      aria-busy={busy}
      {...(busy ? { onClick: undefined } : {})}
      className={`button ${look}${large ? " large" : ""}${className === undefined ? "" : ` ${className}`}`}
    >
      {busy ? (
        <span className="spinner" aria-hidden="true" />
      ) : icon === undefined ? null : (
        <Icon name={icon} size={16} />
      )}
      <span>{children}</span>
      {hint === undefined ? null : <Key>{hint}</Key>}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "children"> {
  readonly icon: IconName;
  /** What it does: read out, and shown on hover. */
  readonly label: string;
}

export function IconButton({ icon, label, className, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      className={`icon-button${className === undefined ? "" : ` ${className}`}`}
      aria-label={label}
      title={label}
    >
      <Icon name={icon} />
    </button>
  );
}

interface ButtonLinkProps {
  readonly to: string;
  readonly look?: ButtonLook;
  readonly icon?: IconName;
  readonly children: ReactNode;
}

export function ButtonLink({ to, look = "plain", icon, children }: ButtonLinkProps) {
  return (
    <Link to={to} className={`button ${look}`}>
      {icon === undefined ? null : <Icon name={icon} size={16} />}
      <span>{children}</span>
    </Link>
  );
}

/** A key of the keyboard. */
export function Key({ children }: { readonly children: ReactNode }) {
  return <kbd>{children}</kbd>;
}
